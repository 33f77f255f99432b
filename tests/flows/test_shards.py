"""Shards of one label set side by side: the same digest and the same bytes as one after the other."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest

from stores.artefacts import ArtefactRef, Recipe, Store
from wilss.errors import SpecError
from wilss.settings import Settings
from wilss.spec import make_spec

pytestmark = pytest.mark.usefixtures("prefect_backend")
TINY: dict[str, Any] = {"benchmark": "scenes-15-5", "preset": "tiny", "method": "finetune"}


def content(root: Path) -> dict[str, str]:
    """Relative path -> digest of every file of the label set but its manifest, which says when it was made."""
    (manifest,) = (m for m in Store(root).all("labels"))
    folder = Store(root).folder(manifest.ref)
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_workers_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import stores.labels.index as index
    from flows.benchmark import run_benchmark

    monkeypatch.setattr(index, "SHARD_IMAGES", 4)
    for workers in (1, 4):
        root = tmp_path / str(workers)
        run_benchmark(make_spec(TINY), Settings(root=root, workers=workers))
        assert not list((root / "labels").glob(".staging*"))
    one, four = content(tmp_path / "1"), content(tmp_path / "4")
    assert sum("refined/c/" in name for name in one) == 9
    assert one == four


def test_what_goes_wrong_in_a_shard_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is what the run ends with: nothing is learnt without labels."""
    import tasks.labels as tasks
    from flows.benchmark import run_benchmark

    def fail(*given: object) -> None:
        raise SpecError("the scorer says no")

    monkeypatch.setattr(tasks, "write_shard", fail)
    with pytest.raises(SpecError, match="the scorer says no"):
        run_benchmark(make_spec(TINY), Settings(root=tmp_path))
    assert not Store(tmp_path).all("labels")
    assert len(Store(tmp_path).all("checkpoints")) == 1


def test_a_set_that_is_labelled_is_left_alone_by_others(tmp_path: Path) -> None:
    """Who would make it anew waits: else the shards of the first would be taken away while it writes."""
    recipe, store = Recipe("labels", {"a": 1}), Store(tmp_path)
    waited: list[str] = []
    order: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def first() -> None:
        with store.alone(recipe), store.build(recipe) as folder:
            (folder / "shard").write_text("written")
            begun.set()
            go_on.wait(10)
            order.append("published")
            store.publish(recipe, folder, {})

    thread = threading.Thread(target=first)
    thread.start()
    begun.wait(10)

    def waiting() -> None:
        waited.append("waited")
        go_on.set()

    with Store(tmp_path).alone(recipe, waiting):
        order.append("second")
    thread.join()
    assert (waited, order) == (["waited"], ["published", "second"])
    assert (store.folder(ArtefactRef(kind="labels", digest=recipe.digest)) / "shard").read_text() == "written"
    assert not list((tmp_path / "labels").glob(".staging*"))
