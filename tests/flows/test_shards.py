"""Shards of one label set side by side: the same digest and the same bytes as one after the other."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from stores.artefacts import Store
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


def test_workers_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import stores.labels.sets as sets
    from flows.benchmark import run_benchmark

    monkeypatch.setattr(sets, "SHARD_BYTES", 5 * 4 * 64 * 64)  # four images a shard
    for workers in (1, 4):
        root = tmp_path / str(workers)
        run_benchmark(make_spec(TINY), Settings(root=root, workers=workers))
        assert not list((root / "labels").glob(".staging*"))
    one, four = content(tmp_path / "1"), content(tmp_path / "4")
    assert sum("refined/c/" in name for name in one) == 9
    assert one == four
