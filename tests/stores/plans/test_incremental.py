"""What counts in the digests of a run's artefacts, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stores.artefacts import Recipe
from stores.plans.forecast import outlook
from stores.plans.run import Run
from stores.plans.session import Session
from wilss.digest import digest_of
from wilss.learn.schedule import passes_of
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
    before = {
        "foundation": {"scorer": "classifier:mobilenetv2_100", "cosegment": {"refine": "none"}},
        "base": {"epochs": 3, "tuned_stages": None},
    }
    small = make_spec({"benchmark": "voc-15-5", "preset": "small", **before})
    assert digest_of(small.facts()) == "b735d388ef13db10ea6e93238d87df4c"


def test_what_pamr_and_wilson_compute_otherwise_counts_only_where_they_are_used(tmp_path: Path) -> None:
    pamr, guided = (
        opened(tmp_path, "scenes-15-5", foundation={"cosegment": {"refine": refine}}) for refine in ("pamr", "guided")
    )
    assert recipe(pamr, "labels 1").facts["pamr"] == 2
    assert "pamr" not in recipe(guided, "labels 1").facts
    wilson, finetune = (opened(tmp_path, "scenes-15-5", method=method) for method in ("wilson", "finetune"))
    assert recipe(wilson, "checkpoint 1").facts["code"] == 2
    assert "code" not in recipe(finetune, "checkpoint 1").facts


def test_few_images_that_are_passed_more_often_count_in_digests_joint_and_estimates(tmp_path: Path) -> None:
    plain, longer = (opened(tmp_path, "scenes-15-5", base={"min_iterations": n}) for n in (0, 60))
    assert recipe(plain, "checkpoint 0").digest == recipe(opened(tmp_path, "scenes-15-5"), "checkpoint 0").digest
    assert recipe(longer, "checkpoint 0").digest != recipe(plain, "checkpoint 0").digest
    images = len(longer.lists.positions(0))
    passes = passes_of(images, longer.spec.base)
    assert passes > 1
    amounts = [{one.node.name: one.amount for one in outlook(run)}["checkpoint 0"] for run in (plain, longer)]
    assert amounts == [images, images * passes]
    joint = [opened(tmp_path, "scenes-15-5", method="joint", base={"min_iterations": n}) for n in (0, 60)]
    epochs = [run.ingredients.base_training.epochs for run in joint]
    assert epochs[1] > epochs[0], "it sees as many images as the steps together"


def test_a_scorer_that_is_left_open_is_chosen_once_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mobilenetv2_100.safetensors").write_bytes(b"not loaded to choose")
    spec = make_spec({"benchmark": "scenes-15-5", "preset": "tiny", "foundation": {"scorer": "auto"}})
    run = Run(spec, Session(Settings(root=tmp_path / "root", weights=tmp_path)))
    assert run.spec.foundation.scorer == run.foundation.scorer == "classifier:mobilenetv2_100"
    assert capsys.readouterr().err.count("scorer classifier:mobilenetv2_100: it knows ") == 1
    finetune = spec.model_copy(update={"method": "wilson"})
    open_still = Run(finetune, Session(Settings(root=tmp_path / "root", weights=tmp_path)))
    assert open_still.spec.foundation.scorer == "auto", "a method without labels asks no scorer"


def test_folders_of_ones_own_train_longer_than_the_measured_tables() -> None:
    own = {"name": "pets", "data": "folder", "steps": [["cat"], ["dog"]]}
    pets = make_spec({"benchmark": "pets", "custom": own})
    assert (pets.base.min_iterations, pets.step.min_iterations, pets.foundation.scorer) == (400, 200, "auto")
    voc = make_spec({"benchmark": "voc-15-5"})
    assert (voc.base.min_iterations, voc.step.min_iterations) == (0, 0)
    one_by_one = make_spec({"benchmark": "voc-15-1"})
    assert (one_by_one.base.min_iterations, one_by_one.step.min_iterations) == (0, 200)
    assert voc.foundation.scorer == "classifier:tf_efficientnet_lite2+mobilenetv2_100"
