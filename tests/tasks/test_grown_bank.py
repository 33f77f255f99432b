"""A memory bank that grows, in the store: what it is cut from, and what is said where no instance is good enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import flows.stages
from stores.artefacts import ArtefactRef, read_manifest
from stores.banks import load_bank
from stores.models.training import card_of
from stores.plans.run import Run
from stores.plans.session import Session
from tasks.labels import begin_labels, label_set, label_shard
from tasks.train import grown_bank, memory_bank
from wilss.models.files import save_model
from wilss.nets.segmenter import build_segmenter
from wilss.settings import Settings
from wilss.spec import make_spec

STEPS = [["arrow", "bolt", "mug"], ["star"], ["crown"]]


def opened(root: Path, said: list[str], **memory: Any) -> Run:
    content = {
        "benchmark": "mine",
        "custom": {"name": "mine", "data": "scenes", "steps": STEPS},
        "preset": "tiny",
        "data": {"n_train": 160, "n_eval": 8},
        "fmwiss": {"memory": {"grows": True, "cut_by": "labels", "min_pixels": 20, **memory}},
    }
    return Run(make_spec(content), Session(Settings(root=root), say=said.append))


def untrained(run: Run, step: int) -> ArtefactRef:
    recipe = run.plan[f"checkpoint {step}"].recipe
    with run.store.build(recipe) as folder:
        model = build_segmenter(run.spec.student, run.weights, run.protocol.sizes(step))
        save_model(model.state_dict(), card_of(run, step, []), folder)
        return run.store.publish(recipe, folder, {"images": 1}).ref


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ArtefactRef, ArtefactRef, ArtefactRef]:
    """A root with base bank, labels and untrained student of step 1."""
    root = tmp_path_factory.mktemp("grown")
    run = opened(root, [])
    untrained(run, 0)
    bank, begun = memory_bank.fn(run), begin_labels.fn(run, 1)
    labels = label_set.fn(run, 1, [label_shard.fn(run, 1, begun, shard) for shard in range(begun.counts["shards"])])
    return root, bank, labels, untrained(run, 1)


def test_the_bank_of_step_one_has_instances_of_its_class_and_their_origin(
    before: tuple[Path, ArtefactRef, ArtefactRef, ArtefactRef],
) -> None:
    root, bank, labels, student = before
    run = opened(root, [], min_quality=0.0)
    ref = grown_bank.fn(run, 1, bank, labels, student)
    assert ref.digest == run.plan["memory bank 1"].recipe.digest
    grown, base = load_bank(run.store.folder(ref)), load_bank(run.store.folder(bank))
    assert 0 < ref.counts["star"] <= 4
    assert grown.ids[: len(base)] == base.ids
    origin = grown.origin(len(grown) - 1)
    assert (origin.made, origin.step, origin.parent) == ("labels", 1, labels.digest)
    assert read_manifest(run.store.folder(ref)).parents == {
        "bank": bank.digest,
        "labels": labels.digest,
        "student": student.digest,
    }


def test_where_all_instances_fail_that_is_said_and_the_bank_stays(
    before: tuple[Path, ArtefactRef, ArtefactRef, ArtefactRef],
) -> None:
    root, bank, labels, student = before
    said: list[str] = []
    run = opened(root, said, min_quality=0.99)
    grown = load_bank(run.store.folder(grown_bank.fn(run, 1, bank, labels, student)))
    assert grown.ids == load_bank(run.store.folder(bank)).ids
    (line,) = [text for text in said if "later steps" in text]
    assert line.startswith("memory bank after step 1: no instance of star is one whole component with a score of 0.99")
    assert line.endswith("so later steps do not paste it; lower fmwiss.memory.min_quality to have it pasted")


def test_a_step_alone_makes_the_bank_that_it_needs(
    before: tuple[Path, ArtefactRef, ArtefactRef, ArtefactRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, bank, labels, student = before
    run = opened(root, [], min_quality=0.25)
    monkeypatch.setattr(flows.stages, "grown_bank", grown_bank.fn)
    monkeypatch.setattr(flows.stages, "note_stage", lambda *given: None)
    built = flows.stages.Built(students=[student], bank=bank)
    assert flows.stages.bank_stage(run, 1, built) == bank
    made = flows.stages.bank_stage(run, 2, built)
    assert made is not None
    assert made.digest == run.plan["memory bank 1"].recipe.digest
    assert read_manifest(run.store.folder(made)).parents["labels"] == labels.digest
    monkeypatch.setattr(flows.stages, "grown_bank", None)
    assert flows.stages.bank_stage(run, 2, built) == made, "found"
