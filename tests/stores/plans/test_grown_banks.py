"""Memory banks that grow: what each is made from, and that nothing else's digest knows of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stores.artefacts import ArtefactRef, Recipe
from stores.models.training import card_of
from stores.plans.run import Run
from stores.plans.session import Session
from wilss.models.files import save_model
from wilss.nets.segmenter import build_segmenter
from wilss.settings import Settings
from wilss.spec import make_spec

STEPS = [["arrow", "bolt", "mug"], ["star"], ["crown"], ["ring"]]
GROWS = {"fmwiss": {"memory": {"grows": True}}}


def opened(root: Path, **changes: Any) -> Run:
    custom = {"name": "mine", "data": "scenes", "steps": STEPS}
    data = {"n_train": 60, "n_eval": 8}
    content = {"benchmark": "mine", "custom": custom, "preset": "tiny", "data": data, **changes}
    return Run(make_spec(content), Session(Settings(root=root), say=lambda text: None))


def digests(run: Run) -> dict[str, str]:
    return {name: node.recipe.digest for name, node in run.plan.items()}


def test_a_step_takes_the_bank_with_all_classes_before_it(tmp_path: Path) -> None:
    plan = opened(tmp_path, **GROWS).plan
    names = [name for name in plan if name.startswith("memory bank")]
    assert names == ["memory bank", "memory bank 1", "memory bank 2"], "nothing pastes the classes of the last step"
    assert set(plan.parents("memory bank 1")) == {"memory bank", "labels 1", "checkpoint 1"}
    assert set(plan.parents("memory bank 2")) == {"memory bank 1", "labels 2", "checkpoint 2"}
    for step, name in enumerate(names, start=1):
        assert name in plan.parents(f"checkpoint {step}")
    assert [node.at for name, node in plan.items() if name in names] == [0, 2, 3]
    assert {"bank-2", "bank-3"} <= set(plan.stages)


def test_what_makes_it_grow_is_in_the_grown_banks_alone(tmp_path: Path) -> None:
    plain, grows = opened(tmp_path), opened(tmp_path, **GROWS)
    more = opened(tmp_path, fmwiss={"memory": {"grows": True, "min_quality": 0.5, "cut_by": "labels"}})
    shared = ("checkpoint 0", "memory bank", "labels 1", "checkpoint 1", "labels 2", "labels 3")
    assert [digests(run)[name] for run in (plain, grows) for name in shared] == [digests(more)[n] for n in shared] * 2
    assert digests(plain)["checkpoint 2"] != digests(grows)["checkpoint 2"]
    assert digests(grows)["memory bank 1"] != digests(more)["memory bank 1"]
    budget = opened(tmp_path, fmwiss={"memory": {"budget": 100}})
    assert digests(budget)["memory bank"] != digests(plain)["memory bank"]
    assert "memory bank 1" not in opened(tmp_path, fmwiss={**GROWS["fmwiss"], "paste": {"probability": 0}}).plan


def test_a_set_that_people_corrected_is_what_the_bank_is_cut_from(tmp_path: Path) -> None:
    child = ArtefactRef(kind="labels", digest="c0ffee")
    run = opened(tmp_path, **GROWS)
    run.store.get = lambda kind, digest: type("Kept", (), {"ref": child})()  # type: ignore[method-assign, assignment]
    run.spec = run.spec.model_copy(update={"label_sets": {1: "c0ffee"}})
    assert run.plan["memory bank 1"].recipe.parents["labels"] == child
    assert run.plan["checkpoint 1"].recipe.parents["labels"] == child


@pytest.fixture
def started(tmp_path: Path) -> tuple[dict[str, str], Recipe]:
    """A root with the untrained student of step 2; digests of the whole run, and that student's recipe."""
    run = opened(tmp_path, **GROWS)
    recipe = run.plan["checkpoint 2"].recipe
    with run.store.build(recipe) as folder:
        save_model(
            build_segmenter(run.spec.student, run.weights, run.protocol.sizes(2)).state_dict(),
            card_of(run, 2, []),
            folder,
        )
        run.store.publish(recipe, folder, {"images": 1})
    return digests(run), recipe


def test_a_run_from_a_student_of_its_own_takes_the_same_banks(
    tmp_path: Path, started: tuple[dict[str, str], Recipe]
) -> None:
    whole, recipe = started
    run = opened(tmp_path, students={2: recipe.digest}, **GROWS)
    assert {name: digest for name, digest in whole.items() if name in run.plan} == digests(run)
    assert [node.name for node in run.plan.values() if node.recipe.kind == "banks" and not node.optional] == [
        "memory bank",
        "memory bank 2",
    ]
    assert run.plan["memory bank 1"].optional, "it is needed only to make the next one"


def test_a_student_that_was_made_otherwise_brings_the_bank_that_it_pasted_from(
    tmp_path: Path, started: tuple[dict[str, str], Recipe]
) -> None:
    whole, recipe = started
    run = opened(tmp_path, students={2: recipe.digest}, base={"epochs": 2}, **GROWS)
    assert [name for name in run.plan if name.startswith("memory bank")] == ["memory bank", "memory bank 2"]
    bank = run.plan["memory bank 2"].recipe
    expected = {"bank": whole["memory bank 1"], "labels": whole["labels 2"], "student": recipe.digest}
    assert bank.parent_digests == expected
    assert run.plan["checkpoint 3"].recipe.parents["bank"] == bank
    assert bank.digest == whole["memory bank 2"], "nothing else tells it"
    plain = opened(tmp_path, students={2: recipe.digest}, base={"epochs": 2})
    assert "memory bank 2" not in plain.plan
