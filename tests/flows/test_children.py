"""Label sets of one's own in place of the co-segmented one: part of the rows, in another order, other masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import wilss.learn.incremental as incremental
from stores.artefacts import ArtefactRef, Store
from stores.labels.children import make_child
from stores.labels.sets import LabelSet
from wilss.data.families import open_source
from wilss.errors import DataError, SpecError
from wilss.settings import Settings
from wilss.spec import make_spec

pytestmark = pytest.mark.usefixtures("prefect_backend")
TINY: dict[str, Any] = {"benchmark": "scenes-15-5", "preset": "tiny"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, prefect_backend: None) -> tuple[Path, dict[str, Any]]:
    from flows.benchmark import run_benchmark

    root = tmp_path_factory.mktemp("children")
    return root, run_benchmark(make_spec(TINY), Settings(root=root))


@pytest.fixture
def parent(finished: tuple[Path, dict[str, Any]]) -> ArtefactRef:
    return ArtefactRef(kind="labels", digest=finished[1]["artefacts"]["labels 1"])


def test_a_child_with_fewer_rows_in_another_order_trains_on_the_right_masks(
    finished: tuple[Path, dict[str, Any]], parent: ArtefactRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.benchmark import run_benchmark

    root, report = finished
    store = Store(root)
    whole = LabelSet.open(store.folder(parent))
    kept = [image_id for row, image_id in enumerate(whole.index.ids) if row % 3][::-1]
    child = make_child(store, parent, kept)
    seen: dict[str, Tensor] = {}
    draw = incremental.StepBatches.draw

    def watched(self: Any, positions: list[int]) -> Any:
        ids = [self.data.images.images.ids[p] for p in positions]
        seen.update(zip(ids, self.data.labels.layers(positions), strict=True))
        return draw(self, positions)

    monkeypatch.setattr(incremental.StepBatches, "draw", watched)
    found = run_benchmark(make_spec({**TINY, "label_sets": {1: child.digest[:12]}}), Settings(root=root))
    assert set(seen) == set(kept)
    for image_id, masks in seen.items():
        row = whole.position(image_id)
        assert torch.equal(masks, whole.read("refined", row, row + 1)[0]), image_id
    entry = found["label_sets"][0]
    assert (entry["digest"], entry["rows"], entry["images"]) == (child.digest, len(kept), len(whole))
    assert report["label_sets"][0]["rows"] == report["label_sets"][0]["images"] == len(whole)
    assert found["artefacts"]["checkpoint 1"] != report["artefacts"]["checkpoint 1"]
    assert found["artefacts"]["checkpoint 0"] == report["artefacts"]["checkpoint 0"]
    (page,) = (root / "runs" / found["run"]).glob("report.html")
    assert f"{len(kept)} of {len(whole)} images" in page.read_text()


def test_the_same_corrections_give_the_same_set(finished: tuple[Path, dict[str, Any]], parent: ArtefactRef) -> None:
    store = Store(finished[0])
    ids = LabelSet.open(store.folder(parent)).index.ids[:3]
    empty = make_child(store, parent, ids, lambda image_id, masks: masks * 0)
    assert empty.digest == make_child(store, parent, ids, lambda image_id, masks: masks * 0).digest
    assert empty.digest != make_child(store, parent, ids).digest
    labels = LabelSet.open(store.folder(empty.ref))
    assert labels.index.ids == ids
    assert not labels.read("refined", 0, 3).any()
    assert empty.parents == {"parent": parent.digest}


def test_a_set_of_another_step_or_benchmark_is_refused(
    finished: tuple[Path, dict[str, Any]], parent: ArtefactRef
) -> None:
    from flows.benchmark import run_step

    root = finished[0]
    content = {**TINY, "benchmark": "scenes-10-10", "label_sets": {1: parent.digest}}
    run_step(make_spec(content), 0, Settings(root=root))
    with pytest.raises(DataError, match=r"the label set has masks of .* at 64 px, the step needs .* at 64 px"):
        run_step(make_spec(content), 1, Settings(root=root))


def test_sheets_show_every_set_s_masks_beside_their_image(
    finished: tuple[Path, dict[str, Any]], parent: ArtefactRef
) -> None:
    import stores.labels.look as look

    store, source = Store(finished[0]), open_source("scenes", make_spec(TINY).data, Settings(root=finished[0]))
    whole = LabelSet.open(store.folder(parent))
    ids = whole.index.ids[::-1][:5]
    child = LabelSet.open(store.folder(make_child(store, parent, ids).ref))
    class_ids = make_spec(TINY).protocol.steps[1]
    for row in look.look_at(source, [child, whole], range(3), class_ids).rows:
        own, refined = row[2].labels, row[4].labels
        assert own is not None
        assert refined is not None
        assert torch.equal(own, refined), "the child's masks are the refined ones of the same image"
    (row,) = look.look_at(source, [whole, child], [0], class_ids).rows
    assert row[-1].image is None, "the child has no row of it"
    assert look.sheet(source, [whole, child], [0], class_ids).width > 5 * 160


def test_a_child_is_no_teacher_s_set(finished: tuple[Path, dict[str, Any]], parent: ArtefactRef) -> None:
    import stores.labels.look as look

    store = Store(finished[0])
    child = make_child(store, parent, LabelSet.open(store.folder(parent)).index.ids[:2])
    family = look.family(store, store.get("labels", parent.digest))
    assert child.digest not in {manifest.digest for manifest in family}
    assert look.family(store, child)[0].digest == child.digest


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label_sets": {7: "ab"}}, "label_sets names step 7; steps that learn from labels are 1 to 1"),
        ({"label_sets": {1: "ab"}, "method": "wilson"}, "wilson learns from no label set; leave label_sets out"),
    ],
)
def test_a_set_for_a_step_that_takes_none_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        make_spec({**TINY, **changes})
