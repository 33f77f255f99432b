"""Label sets for tests: dense masks in, a set in a folder out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stores.labels.filling import ShardFill
from stores.labels.index import LabelIndex
from stores.labels.sets import LabelSet
from stores.labels.writer import LabelWriter, ShardRows
from wilss.measure.columns import COLUMNS


def index(n: int = 9, canvas: int = 16, stages: tuple[str, ...] = ("initial", "refined"), images: int = 0) -> LabelIndex:
    """Cats, dogs, both and neither, one after the other."""
    tags = np.array([[(i + 1) & 1, (i + 1) & 2] for i in range(n)], bool).reshape(n, 2)
    return LabelIndex(tuple(f"img-{i}" for i in range(n)), ("cat", "dog"), tags, canvas, (4, 4), stages, images)


def shard_rows(of: LabelIndex, shard: int, seed: int = 0, size: tuple[int, int] = (12, 16)) -> ShardRows:
    """Random masks and numbers."""
    gen, fill = torch.Generator().manual_seed(seed), ShardFill(of, shard)
    rows = len(of.rows(shard))
    masks = {stage: torch.rand(rows, *size, generator=gen) > 0.5 for stage in of.stages}
    quality = torch.rand(rows, len(COLUMNS), generator=gen).numpy()
    fill.add(of.images(shard), masks, quality, torch.rand(rows, *of.grid, generator=gen))
    fill.sizes[:] = [*size, 2 * size[0], 2 * size[1]]
    fill.pixels[:] = shard + 1
    return fill.content()


def whole_set(folder: Path, of: LabelIndex, seed: int = 0) -> LabelSet:
    writer = LabelWriter.begin(folder, of)
    for shard in range(of.n_shards):
        writer.write(shard, shard_rows(of, shard, seed + shard))
    return LabelSet.open(folder)


def from_dense(folder: Path, of: LabelIndex, layers: Tensor) -> LabelSet:
    """A set of one stage with these masks ``(N, C, S, S)``."""
    writer = LabelWriter.begin(folder, of)
    for shard in range(of.n_shards):
        fill, images = ShardFill(of, shard), of.images(shard)
        masks = layers[images.start : images.stop][fill.pairs(images)]
        fill.add(images, {of.stages[0]: masks}, np.full((len(masks), len(COLUMNS)), np.nan, np.float32))
        fill.sizes[:] = of.canvas
        writer.write(shard, fill.content())
    return LabelSet.open(folder)
