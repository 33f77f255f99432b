"""Image-caption pairs of the built-in world: what the small foundation models learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from wilss.data.scenes import World, caption, draw

PRETRAINING_WORLD = World(min_scale=0.3, max_scale=0.9, seed=7)
"""Larger objects than in the benchmark occur too, so that the models also see well at twice the input size."""


EASY_WORLD = PRETRAINING_WORLD.model_copy(update={"max_objects": 1, "clutter": 0, "min_scale": 0.5})
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


def pretraining_pairs(count: int, progress: Callable[[int, int], None] | None = None) -> Pairs:
    """A third easy pairs, two thirds of the pretraining world."""
    easy = draw_pairs(EASY_WORLD, count // 3, progress=progress)
    hard = draw_pairs(PRETRAINING_WORLD, count - count // 3, progress=progress)
    return Pairs(torch.cat([easy.images, hard.images]), easy.captions + hard.captions)


def batches(count: int, batch_size: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Index batches without replacement inside an epoch, for ``steps`` steps."""
    order = torch.randperm(count, generator=generator)
    position = 0
    for _ in range(steps):
        if position + batch_size > count:
            order, position = torch.randperm(count, generator=generator), 0
        yield order[position : position + batch_size]
        position += batch_size
