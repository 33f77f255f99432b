"""What a label set costs as it grows: ``python -m tests.benchmarks.growth``.

1,000, 10,000 and 100,000 images of 20 classes with 1.5 tags on average at 512 px, masks drawn from a pool of blobs.
For each size: seconds a row to write it and to draw it for training, bytes a row on the disk, seconds to open the set
and to hold it against the step's tags, and memory of a process that trains on it: everything that a step draws from but
the network and the photographs (one is shown again and again). "growth" is a cost a row over that of the next smaller
set, the larger of both: 1 is flat. "open" is the median of the seconds that fresh processes take to open a set of as
many images as COCO has to train on, without their imports.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stores.labels.cache import LayerCache
from stores.labels.index import LabelIndex
from stores.labels.sets import LabelSet
from stores.labels.writer import LabelWriter, ShardRows
from tests.benchmarks import last_line
from wilss.data.images import ImageTable, TaggedImages
from wilss.data.room import Room
from wilss.data.spec import AugmentSpec
from wilss.learn.incremental import StepBatches, StepData
from wilss.measure.columns import COLUMNS

CLASSES = 20
BATCH, BATCHES = 16, 12
POOL = 512
COCO, OPENINGS = 118_000, 5
COSTS = ("write_s", "draw_s", "bytes", "open_s", "memory_bytes")


def index_of(images: int, canvas: int) -> LabelIndex:
    """One to two tags an image, as many of each."""
    gen, tags = np.random.default_rng(0), np.zeros((images, CLASSES), bool)
    tags[np.arange(images), gen.integers(CLASSES, size=images)] = True
    second = np.arange(0, images, 2)
    tags[second, (tags[second].argmax(1) + 1 + gen.integers(CLASSES - 1, size=len(second))) % CLASSES] = True
    ids = tuple(f"COCO_train2014_{k:012d}" for k in range(images))
    return LabelIndex(ids, tuple(f"class {k}" for k in range(CLASSES)), tags, canvas, (canvas // 8,) * 2, ("final",))


def blobs(canvas: int) -> NDArray[np.uint8]:
    """Packed masks of two ellipses with a ragged outline."""
    gen, found = np.random.default_rng(1), []
    y, x = np.mgrid[:canvas, :canvas] / canvas
    for _ in range(POOL):
        mask = np.zeros((canvas, canvas), bool)
        for _ in range(2):
            (cy, cx), (ry, rx), waves = gen.random(2), gen.uniform(0.05, 0.3, 2), gen.integers(3, 30)
            angle = np.arctan2(y - cy, x - cx)
            mask |= np.hypot((y - cy) / ry, (x - cx) / rx) < 1 + 0.1 * np.sin(waves * angle)
        found.append(np.packbits(mask, axis=-1))
    return np.stack(found)


def write(folder: Path, index: LabelIndex, pool: NDArray[np.uint8]) -> float:
    """Seconds a row to write a set: the median of its shards, as this machine may have others to serve."""
    gen, seconds = np.random.default_rng(2), []
    writer = LabelWriter.begin(folder, index)
    for shard in range(index.n_shards):
        rows, images = len(index.rows(shard)), len(index.images(shard))
        sizes = np.full((images, 4), index.canvas, np.uint32)
        quality = gen.random((rows, len(COLUMNS)), np.float32)
        masks = pool[gen.integers(POOL, size=rows)]
        start = time.perf_counter()
        writer.write(shard, ShardRows({"final": masks}, None, quality, sizes, sizes))
        seconds.append((time.perf_counter() - start) / rows)
    return float(np.median(seconds))


class _OnePhotograph:
    def __init__(self, canvas: int) -> None:
        self.shown = torch.zeros(3, canvas, canvas, dtype=torch.uint8)

    def image(self, image_id: str) -> torch.Tensor:
        return self.shown


def train(folder: Path, canvas: int) -> dict[str, float]:
    """Open a set and draw batches of it, as a step does; memory is what the process took beyond its modules."""
    torch.zeros(1).add_(1)
    before, start = _resident(), time.perf_counter()
    labels = LabelSet.open(folder)
    opened = time.perf_counter() - start
    tags = torch.from_numpy(labels.index.tags)
    start = time.perf_counter()
    labels.require_of(dict(zip(labels.index.ids, tags.tolist(), strict=True)), labels.index.classes, canvas)
    matched = time.perf_counter() - start
    start = time.perf_counter()
    cache = LayerCache(labels, labels.index.ids, labels.stage)
    read, held = time.perf_counter() - start, _resident() - before
    images = TaggedImages(ImageTable(_OnePhotograph(canvas), labels.index.ids, canvas, Room(0)), tags)
    how = (None, AugmentSpec(crop=canvas), torch.Generator(), torch.device("cpu"))
    batches = StepBatches(StepData(images, cache, None), *how)
    gen, start = np.random.default_rng(3), time.perf_counter()
    drawn = 0
    for _ in range(BATCHES):
        positions = gen.integers(len(labels), size=BATCH).tolist()
        cache.layers(positions)
        drawn += int(labels.index.tags[positions].sum())
    draw = (time.perf_counter() - start) / drawn
    batches.draw(positions)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    times = {"open_s": opened, "match_s": matched, "read_s": read, "draw_s": draw}
    return {**times, "memory_bytes": held, "peak_bytes": peak, "modules_bytes": before}


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def opening(images: int, canvas: int, pool: NDArray[np.uint8]) -> dict[str, Any]:
    """Median seconds to open a set of so many images, each time in a process of its own."""
    code = """
import time
from stores.labels.sets import LabelSet
start = time.perf_counter()
LabelSet.open(Path(sys.argv[1]))
print(time.perf_counter() - start)
"""
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), index_of(images, canvas), pool)
        command = [sys.executable, "-c", f"import sys; from pathlib import Path\n{code}", name]
        runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(OPENINGS)]
    seconds = sorted(float(out) for out in runs)
    shown = ", ".join(f"{one:.3f}" for one in seconds)
    print(f"{images:7} images are opened in {float(np.median(seconds)):.3f} s (of {shown})", flush=True)
    return {"images": images, "seconds": float(np.median(seconds)), "all": seconds}


def measure(sizes: list[int], canvas: int, opened: int = COCO) -> dict[str, Any]:
    """Costs by size, and how they grow; and the opening of a set of ``opened`` images, none with 0."""
    pool, found = blobs(canvas), {}
    for images in sizes:
        index = index_of(images, canvas)
        with tempfile.TemporaryDirectory() as name:
            seconds = write(Path(name), index, pool)
            size = sum(path.stat().st_size for path in Path(name).rglob("*") if path.is_file())
            code = f"from tests.benchmarks.growth import *; print(json.dumps(train(Path({name!r}), {canvas})))"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        told = json.loads(done.stdout.splitlines()[-1])
        found[images] = {"rows": index.n_rows, "write_s": seconds, "bytes": size / index.n_rows, **told}
        print(
            f"{images:7} images {index.n_rows:7} rows: write {1e3 * seconds:.3f} ms a row, "
            f"{size / index.n_rows:.0f} bytes a row, open {told['open_s']:.3f} s, match {told['match_s']:.3f} s, read "
            f"{told['read_s']:.2f} s, draw {1e3 * told['draw_s']:.2f} ms a row, holds "
            f"{told['memory_bytes'] / 2**20:.0f} MiB, peak {told['peak_bytes'] / 2**20:.0f} MiB",
            flush=True,
        )
    facts = {"sizes": {str(n): values for n, values in found.items()}, "growth": _growth(found), "canvas": canvas}
    return {**facts, "open": opening(opened, canvas, pool) if opened else None}


def _growth(found: dict[int, dict[str, float]]) -> dict[str, float]:
    per_row = {"open_s", "memory_bytes"}
    growth = {}
    for cost in COSTS:
        values = [one[cost] / (one["rows"] if cost in per_row else 1) for one in found.values()]
        growth[cost] = max([later / earlier for earlier, later in itertools.pairwise(values)], default=1.0)
    return growth


def main() -> None:
    """Measure, print a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--canvas", type=int, default=512)
    parser.add_argument("--open", type=int, default=COCO, help="images of the set that is opened alone; 0 opens none")
    options = parser.parse_args()
    last_line("growth", measure(options.sizes, options.canvas, options.open))


if __name__ == "__main__":
    main()
