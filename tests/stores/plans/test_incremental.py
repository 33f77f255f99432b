"""What counts in the digests of a run's artefacts, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stores.artefacts import Recipe
from stores.plans.run import Run
from stores.plans.session import Session
from wilss.digest import digest_of
from wilss.protocol import Scenario, step_images
from wilss.settings import Settings
from wilss.spec import make_spec


def opened(root: Path, benchmark: str, **changes: Any) -> Run:
    content = {"benchmark": benchmark, "preset": "tiny", **changes}
    return Run(make_spec(content), Session(Settings(root=root)))


def recipe(run: Run, name: str) -> Recipe:
    return run.plan[name].recipe


def images(run: Run, step: int, scenario: Scenario) -> tuple[int, ...]:
    return step_images(run.source.tags("train"), run.protocol, step, scenario)


@pytest.mark.parametrize("benchmark", ["scenes-15-5", "scenes-10-5-5"])
def test_scenarios_share_a_label_set_exactly_where_they_share_its_images(tmp_path: Path, benchmark: str) -> None:
    overlap, disjoint = (opened(tmp_path, benchmark, scenario=scenario) for scenario in ("overlap", "disjoint"))
    for step in range(1, overlap.last_step + 1):
        same = images(overlap, step, "overlap") == images(overlap, step, "disjoint")
        assert same == (step == overlap.last_step)
        labels, students = (
            [recipe(run, f"{name} {step}") for run in (overlap, disjoint)] for name in ("labels", "checkpoint")
        )
        assert (labels[0].digest == labels[1].digest) == same
        # parents tell the scenario anyhow; the images of the step count on their own
        assert (students[0].facts == students[1].facts) == same
        assert students[0].digest != students[1].digest
    assert recipe(overlap, "memory bank").digest != recipe(disjoint, "memory bank").digest


def test_fields_that_came_later_leave_the_digests_of_those_who_do_not_set_them(tmp_path: Path) -> None:
    plain = recipe(opened(tmp_path, "scenes-15-5"), "checkpoint 0")
    assert not {"dilation", "activation"} & set(plain.facts["student"])
    leaky = recipe(opened(tmp_path, "scenes-15-5", student={"activation": "leaky_relu"}), "checkpoint 0")
    assert leaky.facts["student"]["activation"] == "leaky_relu"
    assert leaky.digest != plain.digest
    # as they were before there were such fields
    assert plain.digest == "21b4f4cee7c0dd4873c355780de9a44f"
    assert (
        digest_of(make_spec({"benchmark": "voc-15-5", "preset": "small"}).facts()) == "b735d388ef13db10ea6e93238d87df4c"
    )


def test_what_pamr_and_wilson_compute_otherwise_counts_only_where_they_are_used(tmp_path: Path) -> None:
    pamr, guided = (
        opened(tmp_path, "scenes-15-5", foundation={"cosegment": {"refine": refine}}) for refine in ("pamr", "guided")
    )
    assert recipe(pamr, "labels 1").facts["pamr"] == 2
    assert "pamr" not in recipe(guided, "labels 1").facts
    wilson, finetune = (opened(tmp_path, "scenes-15-5", method=method) for method in ("wilson", "finetune"))
    assert recipe(wilson, "checkpoint 1").facts["code"] == 2
    assert "code" not in recipe(finetune, "checkpoint 1").facts
