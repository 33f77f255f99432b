"""Runs that learn from label sets as people reviewed them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import wilss.learn.incremental as incremental
from flows.found import found_run
from stores.artefacts import ArtefactRef, Recipe, Store
from stores.labels.card import has_own_tags
from stores.labels.review import Change, Review, RowState
from stores.labels.review.apply import apply_review
from stores.labels.sets import LabelSet
from wilss.errors import ArtefactNotFoundError, SpecError
from wilss.grid import make_grid
from wilss.report.records import RunReport
from wilss.settings import Settings
from wilss.spec import make_spec

pytestmark = pytest.mark.usefixtures("prefect_backend")
TINY: dict[str, Any] = {"benchmark": "scenes-15-5", "preset": "tiny"}
Finished = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, prefect_backend: None) -> Finished:
    from flows.benchmark import run_benchmark

    root = tmp_path_factory.mktemp("reviewed")
    return root, run_benchmark(make_spec(TINY), Settings(root=root))


def test_asking_for_reviewed_labels_before_there_are_any_names_the_commands(finished: Finished, tmp_path: Path) -> None:
    from flows.benchmark import run_benchmark

    root, report = finished
    with pytest.raises(ArtefactNotFoundError, match=r"are not made yet.*; run it without --labels"):
        run_benchmark(make_spec({**TINY, "labels": "reviewed"}), Settings(root=tmp_path))
    one = report["artefacts"]["labels 1"][:12]
    with pytest.raises(ArtefactNotFoundError, match=f"'wilss inspect {one}', .*'wilss labels apply {one}'"):
        run_benchmark(make_spec({**TINY, "labels": "reviewed"}), Settings(root=root))


@pytest.fixture(scope="module")
def reviewed(finished: Finished) -> tuple[Path, dict[str, Any], dict[tuple[str, str], RowState]]:
    """One row rejected, one class removed of an image with two, one mask painted, one class added."""
    root, report = finished
    digest = report["artefacts"]["labels 1"]
    labels = LabelSet.open(Store(root).path("labels", digest))
    index, review = labels.index, Review.open(root, digest)
    both = next(image for image in range(len(labels)) if index.tags[image].sum() > 1)
    rejected, painted, added = [image for image in range(len(labels)) if image != both][:3]
    mask = {image: np.zeros(labels.true_size(image), bool) for image in (painted, added)}
    for each in mask.values():
        each[5:20, 5:20] = True
    lacking = next(name for name, own in zip(index.classes, index.tags[added], strict=True) if not own)
    said = {
        (index.ids[rejected], index.tagged(rejected)[0]): RowState("rejected"),
        (index.ids[both], index.tagged(both)[0]): RowState("absent"),
        (index.ids[painted], index.tagged(painted)[0]): RowState(mask=review.put_mask(mask[painted])),
        (index.ids[added], lacking): RowState("missing", review.put_mask(mask[added])),
    }
    review.act("ada", "note", [Change(*key, state, 0) for key, state in said.items()])
    apply_review(Store(root), digest)
    return root, report, said


def test_a_run_learns_from_what_people_said(
    reviewed: tuple[Path, dict[str, Any], dict[tuple[str, str], RowState]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.benchmark import run_benchmark

    root, report, said = reviewed
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    draw = incremental.StepBatches.draw

    def watched(self: Any, positions: list[int]) -> Any:
        for position, layers in zip(positions, self.data.labels.layers(positions), strict=True):
            seen[self.data.images.images.ids[position]] = self.data.images.tags[position], layers
        return draw(self, positions)

    monkeypatch.setattr(incremental.StepBatches, "draw", watched)
    spec = make_spec({**TINY, "labels": "reviewed"})
    found = run_benchmark(spec, Settings(root=root))
    (rejected, _), (absent, absent_class), (painted, painted_class), (added, added_class) = said
    labels = LabelSet.open(Store(root).path("labels", report["artefacts"]["labels 1"]))
    channel = {name: k for k, name in enumerate(labels.index.classes)}
    assert set(seen) == set(labels.index.ids) - {rejected}
    for image_id, (tags, layers) in seen.items():
        position = labels.position(image_id)
        wanted, masks = (
            torch.from_numpy(labels.index.tags[position].copy()),
            labels.read("refined", position, position + 1)[0],
        )
        if image_id == absent:
            wanted[channel[absent_class]] = False
            masks[channel[absent_class]] = 0
        if image_id == added:
            wanted[channel[added_class]] = True
        for key in ((painted, painted_class), (added, added_class)):
            if image_id == key[0]:
                masks[channel[key[1]]] = 0
                masks[channel[key[1]], 5:20, 5:20] = 1
        assert torch.equal(tags, wanted), image_id
        assert torch.equal(layers, masks), image_id
    child = found["label_sets"][0]
    assert child["review"] == {
        **{"accepted": 0, "rejected": 1, "removed": 1, "corrected": 1, "added": 1, "missed": 0},
        "images_left_out": 1,
    }
    assert found["spec"]["labels"] == ""
    assert found["spec"]["label_sets"] == {"1": child["digest"]}
    assert found["artefacts"]["checkpoint 0"] == report["artefacts"]["checkpoint 0"]
    page = (root / "runs" / found["run"] / "report.html").read_text()
    assert "reviewed: 1 rejected, 1 class removed, 1 corrected, 1 added; 1 image left out" in page
    teacher = Store(root).get("labels", found["artefacts"]["final labels 1"])
    assert has_own_tags(teacher), "its tags are those that were taught"
    assert teacher.notes.get("review") is None
    again = found_run(spec, Settings(root=root))
    assert again == found, "nothing is done again, and the run is found by what 'reviewed' stands for"
    by_digest = found_run(make_spec({**TINY, "labels": child["digest"][:12]}), Settings(root=root))
    assert by_digest == found


def test_reports_without_a_review_are_read_as_before(finished: Finished) -> None:
    root, report = finished
    assert report["label_sets"][0]["review"] is None
    RunReport.read(root / "runs" / report["run"] / "report.json")


@pytest.mark.slow
def test_before_and_after_are_compared_by_name(reviewed: tuple[Path, dict[str, Any], Any]) -> None:
    from flows.compare import run_comparison

    root, report, _ = reviewed
    grid = make_grid(TINY, ("fmwiss", "fmwiss-reviewed"), (0,))
    found = run_comparison(grid, Settings(root=root))
    assert [entry["name"] for entry in found["runs"]] == ["fmwiss", "fmwiss-reviewed"]
    assert found["runs"][0]["run"] == report["run"] != found["runs"][1]["run"]
    digest = report["artefacts"]["labels 1"]
    first = LabelSet.open(Store(root).path("labels", digest)).index
    review = Review.open(root, digest)
    review.act("ada", "reject", [Change(first.ids[9], first.tagged(9)[0], RowState("rejected"), 0)])
    apply_review(Store(root), digest)
    again = run_comparison(grid, Settings(root=root))
    assert again["folder"] != found["folder"], "a newer review gives another comparison"
    assert again["runs"][1]["run"] != found["runs"][1]["run"]


def test_a_grid_asks_only_those_for_labels_that_use_some() -> None:
    grid = make_grid({**TINY, "labels": "reviewed"}, ("wilson", "fmwiss"), (0,))
    assert [run.spec.labels for run in grid.runs()] == ["", "reviewed"]
    with pytest.raises(SpecError, match="wilson learns from no label set; leave labels out"):
        make_spec({**TINY, "labels": "reviewed", "method": "wilson"})


def test_a_label_set_of_another_step_is_refused(finished: Finished) -> None:
    from flows.benchmark import run_benchmark

    root, report = finished
    store = Store(root)
    parent = ArtefactRef(kind="labels", digest=report["artefacts"]["labels 1"])
    recipe = Recipe("labels", {"other": 1}, {"parent": parent})
    with store.build(recipe) as folder:
        notes = {**store.get("labels", parent.digest).notes, "step": 4}
        store.publish(recipe, folder, {}, notes)
    spec = make_spec({**TINY, "labels": recipe.digest})
    with pytest.raises(SpecError, match=r"is of step 4 of scenes-15-5; .* --set label_sets.1="):
        run_benchmark(spec, Settings(root=root))


@pytest.mark.slow
def test_a_set_that_is_made_anew_keeps_its_review(reviewed: tuple[Path, dict[str, Any], Any]) -> None:
    from flows.benchmark import run_step

    root, report, said = reviewed
    digest = report["artefacts"]["labels 1"]
    before = Store(root).get("labels", digest).created
    states = {key: Review.open(root, digest).state(*key) for key in said}
    run_step(make_spec(TINY), 1, Settings(root=root, again=("labels-1",)))
    assert Store(root).get("labels", digest).created > before
    assert {key: Review.open(root, digest).state(*key) for key in said} == states == said


@pytest.mark.slow
def test_new_labels_tell_of_corrections_that_hold_for_them_too(
    reviewed: tuple[Path, dict[str, Any], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    from flows.benchmark import run_benchmark

    root, report, _ = reviewed
    spec = make_spec({**TINY, "foundation": {"old_names": False}, "fmwiss": {"warmup_epochs": 0}})
    found = run_benchmark(spec, Settings(root=root))
    new, old = found["artefacts"]["labels 1"][:12], report["artefacts"]["labels 1"][:12]
    assert f"3 corrections of label set {old} hold for this one too; carry them on" in capsys.readouterr().err
    assert new != old
