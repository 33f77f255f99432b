"""Processes that write one label set at once, and processes that are killed while they do."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from stores.artefacts import Recipe, Store
from stores.in_use import IN_USE, using
from stores.labels.filling import ShardFill
from stores.labels.index import LabelIndex
from stores.labels.sets import LabelSet
from stores.labels.writer import LabelWriter
from tests.commands import Wilss, command_line
from tests.stores.labels.sets import index, shard_rows

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
FORK = multiprocessing.get_context("fork")
IMAGES = 96


def large() -> LabelIndex:
    return index(IMAGES, images=8)


def written_by(of: LabelIndex, shard: int, seed: int) -> ShardFill:
    """Rows whose every pixel and number tells who wrote them."""
    fill, rows = ShardFill(of, shard), shard_rows(of, shard, seed)
    for stage in of.stages:
        fill.stages[stage][:] = seed
    assert fill.soft is not None
    fill.soft[:] = fill.quality[:] = seed
    fill.sizes[:] = rows.sizes
    fill.pixels[:] = seed
    return fill


def work(folder: Path, seed: int) -> None:
    writer = LabelWriter.begin(folder, large())
    for shard in random.Random(seed).sample(range(writer.index.n_shards), writer.index.n_shards):
        writer.write(shard, written_by(writer.index, shard, seed).content())


def require_whole(labels: LabelSet) -> set[int]:
    """Every row is checked; returns who wrote them."""
    writers = set()
    assert labels.stored.damage() == {}
    for shard in range(labels.index.n_shards):
        images, rows = labels.index.images(shard), labels.index.rows(shard)
        seed = int(labels.pixels[images.start, 0])
        writers.add(seed)
        assert (labels.pixels[images.start : images.stop] == seed).all()
        for stage in labels.index.stages:
            assert (labels.packed(stage, images.start, images.stop) == seed).all(), "rows of two writers are mixed"
        assert (labels.stored.read("soft", rows.start, rows.stop) == seed).all()
        assert all((values[rows.start : rows.stop] == seed).all() for values in labels.quality.values())
    return writers


def test_eight_processes_write_one_set(tmp_path: Path) -> None:
    store, recipe = Store(tmp_path), Recipe("labels", {"a": 1})
    with store.build(recipe) as folder:
        processes = [FORK.Process(target=work, args=(folder, seed)) for seed in range(1, 9)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0] * 8
        store.publish(recipe, folder, {"images": IMAGES})
    assert require_whole(LabelSet.open(store.path("labels", recipe.digest))) <= set(range(1, 9))
    assert [path.name for path in (tmp_path / "labels").iterdir()] == [recipe.digest[:2]], "nothing is left behind"


def test_fifty_kills_lose_no_finished_shard(tmp_path: Path) -> None:
    folder, gen = tmp_path / "set", random.Random(0)
    finished: dict[int, tuple[int, int]] = {}
    for seed in range(1, 51):
        process = FORK.Process(target=work, args=(folder, seed))
        process.start()
        time.sleep(gen.random() * 0.03)
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join(30)
        if (folder / "index.json").is_file():
            finished = require_kept(folder, finished)
    work(folder, 99)
    require_kept(folder, finished)
    require_whole(LabelSet.open(folder))
    assert not list(folder.rglob("*.partial")), "nothing half-written is published"
    assert np.array_equal(LabelSet.open(folder).index.tags, large().tags)


def require_kept(folder: Path, before: dict[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """Done shards of before stand, by their first file, untouched; returns those of now."""
    writer = LabelWriter(folder)
    files = {shard: (folder / writer.files(shard)[-1]).stat() for shard in range(12) if writer.is_done(shard)}
    now = {shard: (found.st_ino, found.st_mtime_ns) for shard, found in files.items()}
    assert before.items() <= now.items()
    return now


def label(root: Path, seed: int) -> None:
    """What a run does to a label set, of one of three recipes."""
    store, recipe = Store(root), Recipe("labels", {"scorer": seed % 3})
    with using(root), store.alone(recipe), store.build(recipe) as folder:
        writer = LabelWriter.begin(folder, large())
        for shard in range(writer.index.n_shards):
            with store.build(recipe, part=f"shard {shard}"):
                if not writer.is_done(shard):
                    writer.write(shard, written_by(writer.index, shard, seed).content())
        store.publish(recipe, folder, {"images": IMAGES})


def test_whatever_kills_leave_is_named_and_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wilss, gen, seen = command_line(capsys, monkeypatch), random.Random(0), set[str]()
    for seed in range(99):
        process = FORK.Process(target=label, args=(tmp_path, seed))
        process.start()
        if seed % 5 < 4:  # the fifth may finish
            time.sleep(gen.random() * 0.2)
            assert process.pid
            os.kill(process.pid, signal.SIGKILL)
        process.join(30)
        if tmp_path.is_dir():
            seen |= require_named(tmp_path, wilss)
        if seed >= 13 and seed % 5 < 4 and {"artefact", "unfinished"} <= seen:  # what a killed one left is there
            break
    assert {"artefact", "unfinished"} <= seen
    assert wilss("store", "gc", "--yes", "--root", tmp_path)[0] == 0
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["gate.lock"]


def require_named(root: Path, wilss: Wilss) -> set[str]:
    """Every file is part of something that may go, or of the gate; returns what there is to go."""
    code, out, _ = wilss("store", "gc", "--dry-run", "--json", "--root", root)
    assert code == 0
    listed = json.loads(out)
    items = {item["path"]: item["what"] for item in listed["items"]}
    for path in (path for path in root.rglob("*") if path.is_file() and path.parent.name != IN_USE):
        owners = [str(path), *map(str, path.parents), f"{path.parent}/{'.'.join(path.name.split('.')[:2])}"]
        assert any(owner in items for owner in owners), (path, listed)  # the last: a lock beside unfinished work
    return set(items.values())
