"""Label sets for tests: dense masks in, a set in a folder out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from torch import Tensor
from zarr.codecs import ZstdCodec

from stores.labels.filling import ShardFill
from stores.labels.index import LabelIndex
from stores.labels.sets import LabelSet
from stores.labels.writer import LabelWriter, ShardRows
from wilss.measure.columns import COLUMNS


def index(
    n: int = 9, canvas: int = 16, stages: tuple[str, ...] = ("initial", "refined"), images: int = 0
) -> LabelIndex:
    """Cats, dogs, both and neither, one after the other."""
    tags = np.array([[(i + 1) & 1, (i + 1) & 2] for i in range(n)], bool).reshape(n, 2)
    return LabelIndex(tuple(f"img-{i}" for i in range(n)), ("cat", "dog"), tags, canvas, (4, 4), stages, images)


def shard_rows(of: LabelIndex, shard: int, seed: int = 0) -> ShardRows:
    """Random masks and numbers."""
    gen, fill = torch.Generator().manual_seed(seed), ShardFill(of, shard)
    rows, size = len(of.rows(shard)), (3 * of.canvas // 4, of.canvas)
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


def write_format1(folder: Path, of: LabelIndex, seed: int = 0) -> dict[str, Tensor]:
    """A label set as the first version wrote it; returns its dense arrays."""
    gen, n, c = torch.Generator().manual_seed(seed), len(of.ids), len(of.classes)
    tags = torch.from_numpy(of.tags)
    dense = {
        stage: (torch.rand(n, c, of.canvas, of.canvas, generator=gen) > 0.5) & tags[..., None, None]
        for stage in of.stages
    }
    arrays: dict[str, Tensor] = {stage: values.to(torch.uint8) for stage, values in dense.items()}
    if "initial" in of.stages:
        arrays["soft"] = torch.rand(n, c, *of.grid, generator=gen).half() * tags[..., None, None]
        arrays["agreement"] = torch.rand(n, c, generator=gen).masked_fill(~tags, torch.nan)
    sizes = torch.full((n, 2), of.canvas).to(torch.uint16)
    whole = {**arrays, "size": sizes, "original": sizes, "done": torch.ones(n, dtype=torch.uint8)}
    group = zarr.open_group(folder / "labels.zarr", mode="w", zarr_format=3)
    rows = max(1, min(128, (32 << 20) // (c * of.canvas**2)))
    for name, values in whole.items():
        tail = tuple(values.shape[1:])
        cut: dict[str, Any] = {"chunks": (rows,)} if name == "done" else {"chunks": (1, *tail), "shards": (rows, *tail)}
        array = group.create_array(
            name,
            shape=tuple(values.shape),
            dtype=values.numpy().dtype,
            compressors=ZstdCodec(level=3),
            fill_value=0,
            **cut,
        )
        array[:] = values.numpy()
    content = {
        "ids": of.ids,
        "classes": of.classes,
        "tags": of.tags.tolist(),
        "canvas": of.canvas,
        "grid": of.grid,
        "stages": of.stages,
    }
    (folder / "index.json").write_text(json.dumps(content))
    return arrays
