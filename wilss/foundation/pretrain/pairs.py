"""Image-caption pairs of the built-in world: what the small foundation models learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from wilss.data.scenes.world import caption, draw
from wilss.data.spec import World

SCENES_WORLD = World(min_scale=0.25, max_scale=0.75, seed=7)
"""Objects as in the benchmark and larger ones, so that the models also see well at 1.5 and 2 times the input size."""

EASY_WORLD = World(max_objects=1, clutter=0, min_scale=0.5, max_scale=0.9, seed=7)
"""One large object: what outlines mean is learnt here first."""


@dataclass(frozen=True)
class Pairs:
    """uint8 images ``(N, 3, H, W)`` and one caption each. There is no mask to reach."""

    images: Tensor
    captions: list[str]

    def __len__(self) -> int:
        return len(self.captions)


def draw_pairs(
    world: World, count: int, shard: int = 2048, progress: Callable[[int, int], None] | None = None
) -> Pairs:
    """Draw ``count`` pairs of the split "pretrain"; ``progress`` is called with (done, count)."""
    images: list[Tensor] = []
    captions: list[str] = []
    for start in range(0, count, shard):
        scenes = draw(world, "pretrain", start, min(start + shard, count))
        generator = torch.Generator().manual_seed(world.seed + start)
        images.append(scenes.images)
        captions += [caption(tags, generator) for tags in scenes.tags()]
        if progress:
            progress(len(captions), count)
    return Pairs(torch.cat(images), captions)


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
