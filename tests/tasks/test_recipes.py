"""What counts in the digests of a run's artefacts, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tasks.recipes import bank_recipe, base_recipe, checkpoint_recipe, labels_recipe, step_recipe
from tasks.workspace import Workspace, open_workspace

from wilss.digest import digest_of
from wilss.protocol import Scenario, step_images
from wilss.spec import Settings, make_spec


def opened(root: Path, benchmark: str, **changes: Any) -> Workspace:
    content = {"benchmark": benchmark, "preset": "tiny", **changes}
    return open_workspace(make_spec(content), Settings(root=root))


def images(ws: Workspace, step: int, scenario: Scenario) -> tuple[int, ...]:
    return step_images(ws.source.tags("train"), ws.protocol, step, scenario)


@pytest.mark.parametrize("benchmark", ["scenes-15-5", "scenes-10-5-5"])
def test_scenarios_share_a_label_set_exactly_where_they_share_its_images(tmp_path: Path, benchmark: str) -> None:
    overlap, disjoint = (opened(tmp_path, benchmark, scenario=scenario) for scenario in ("overlap", "disjoint"))
    last = len(overlap.protocol.steps) - 1
    for step in range(1, last + 1):
        same = images(overlap, step, "overlap") == images(overlap, step, "disjoint")
        assert same == (step == last)
        assert (labels_recipe(overlap, step).digest == labels_recipe(disjoint, step).digest) == same
        # parents tell the scenario anyhow; the images of the step count on their own
        assert (step_recipe(overlap, step).facts == step_recipe(disjoint, step).facts) == same
        assert step_recipe(overlap, step).digest != step_recipe(disjoint, step).digest
    assert bank_recipe(overlap).digest != bank_recipe(disjoint).digest


def test_fields_that_came_later_leave_the_digests_of_those_who_do_not_set_them(tmp_path: Path) -> None:
    plain = opened(tmp_path, "scenes-15-5")
    assert not {"dilation", "activation"} & set(base_recipe(plain).facts["student"])
    leaky = opened(tmp_path, "scenes-15-5", student={"activation": "leaky_relu"})
    assert base_recipe(leaky).facts["student"]["activation"] == "leaky_relu"
    assert base_recipe(leaky).digest != base_recipe(plain).digest
    # as they were before there were such fields
    assert base_recipe(plain).digest == "21b4f4cee7c0dd4873c355780de9a44f"
    assert (
        digest_of(make_spec({"benchmark": "voc-15-5", "preset": "small"}).facts()) == "b735d388ef13db10ea6e93238d87df4c"
    )


def test_what_pamr_and_wilson_compute_otherwise_counts_only_where_they_are_used(tmp_path: Path) -> None:
    pamr, guided = (
        opened(tmp_path, "scenes-15-5", foundation={"cosegment": {"refine": refine}}) for refine in ("pamr", "guided")
    )
    assert labels_recipe(pamr, 1).facts["pamr"] == 2
    assert "pamr" not in labels_recipe(guided, 1).facts
    wilson, finetune = (opened(tmp_path, "scenes-15-5", method=method) for method in ("wilson", "finetune"))
    assert checkpoint_recipe(wilson, 1).facts["code"] == 2
    assert "code" not in checkpoint_recipe(finetune, 1).facts
