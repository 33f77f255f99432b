"""Image-caption pairs of the built-in world: what the small foundation models learn from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from wilss.data.scenes.world import caption, draw
from wilss.data.spec import World
from wilss.parallel.ranks import here

SCENES_WORLD = World(min_scale=0.25, max_scale=0.75, seed=7)
"""Objects as in the benchmark and larger ones, so that the models also see well at 1.5 and 2 times the input size."""

EASY_WORLD = World(max_objects=1, clutter=0, min_scale=0.5, max_scale=0.9, seed=7)
"""One large object: what outlines mean is learnt here first."""

SHARD = 2048
"""Pairs that are drawn at a time; captions hang on it."""


@dataclass(frozen=True)
class Pairs:
    """uint8 images ``(N, 3, H, W)`` and one caption each. There is no mask to reach."""

    images: Tensor
    captions: list[str]

    def __len__(self) -> int:
        return len(self.captions)


def draw_pairs(
    world: World,
    count: int,
    progress: Callable[[int, int], None] | None = None,
    between: Path | None = None,
    shard: int = SHARD,
) -> Pairs:
    """Draw ``count`` pairs of the split "pretrain"; ``progress`` is called with (done, count).

    Args:
        between: a folder, not used before, in which several processes share the work and have one copy of the images.
    """
    starts = range(0, count, shard)
    if between is not None and here().count > 1:
        return _draw_together(world, count, starts, progress, between)
    images: list[Tensor] = []
    captions: list[str] = []
    for start in starts:
        some, said = _draw_shard(world, start, min(start + shard, count))
        images.append(some)
        captions += said
        if progress:
            progress(len(captions), count)
    return Pairs(torch.cat(images), captions)


def _draw_shard(world: World, start: int, stop: int) -> tuple[Tensor, list[str]]:
    scenes = draw(world, "pretrain", start, stop)
    generator = torch.Generator().manual_seed(world.seed + start)
    return scenes.images, [caption(tags, generator) for tags in scenes.tags()]


def _draw_together(
    world: World, count: int, starts: range, progress: Callable[[int, int], None] | None, folder: Path
) -> Pairs:
    """Every rank draws its shards into a file, which all map: the images are in memory once."""
    size = 3 * world.image_size**2
    file = folder / "images"
    if here().rank == 0:
        folder.mkdir()
        with file.open("wb") as handle:
            handle.truncate(count * size)
    here().meet()
    for start in starts[here().rank :: here().count]:
        images, said = _draw_shard(world, start, min(start + starts.step, count))
        _write(file, start * size, images)
        (folder / f"{start}.json").write_text(json.dumps(said))
        if progress:
            progress(start + len(said), count)
    here().meet()
    captions = [text for start in starts for text in json.loads((folder / f"{start}.json").read_text())]
    mapped = torch.from_file(str(file), shared=False, size=count * size, dtype=torch.uint8)
    here().meet()
    if here().rank == 0:
        shutil.rmtree(folder)  # what is mapped stays until the last process ends, however it ends
    return Pairs(mapped.view(count, 3, world.image_size, world.image_size), captions)


def _write(file: Path, at: int, images: Tensor) -> None:
    """Written and not mapped: a full disk is an error then, and no signal."""
    try:
        with file.open("r+b") as handle:
            handle.seek(at)
            handle.write(images.numpy().tobytes())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from error  # else it would name no file


def batch_index(count: int, batch_size: int, step: int, seed: int) -> Tensor:
    """Indices of one step's batch, without replacement inside an epoch; a function of its arguments alone.

    Raises ValueError when there are fewer samples than a batch takes.
    """
    if batch_size > count:
        raise ValueError(f"a batch of {batch_size} is larger than the {count} samples; lower batch_size")
    per_epoch = count // batch_size
    start = step % per_epoch * batch_size
    return _epoch_order(count, seed, step // per_epoch)[start : start + batch_size]


@lru_cache(maxsize=4)
def _epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(count, generator=step_generator(seed, epoch, 1))


def step_generator(seed: int, step: int, stream: int = 0) -> torch.Generator:
    """A generator for one step, so that a resumed run draws what the uninterrupted one would have drawn."""
    mixed = (seed * 1_000_003 + step) * 4 + stream
    return torch.Generator().manual_seed(mixed % (1 << 63))
