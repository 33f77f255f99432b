"""The rows of a shard, gathered batch by batch while its images are looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stores.labels.index import LabelIndex
from stores.labels.writer import ShardRows
from wilss.data.images import ImageTable
from wilss.measure.columns import COLUMNS


class ShardFill:
    """Empty rows of a shard of ``index``; batches of its images may come in any order."""

    def __init__(self, index: LabelIndex, shard: int) -> None:
        self.index, self.first = index, index.rows(shard).start
        self.images = index.images(shard)
        count, masks = len(index.rows(shard)), (index.canvas, index.width)
        self.stages = {stage: np.zeros((count, *masks), np.uint8) for stage in index.stages}
        self.soft = np.zeros((count, *index.grid), np.float16) if "initial" in index.stages else None
        self.quality = np.full((count, len(COLUMNS)), np.nan, np.float32)
        self.sizes = np.zeros((len(self.images), 4), np.uint32)
        self.pixels = np.zeros((len(self.images), 4), np.uint32)

    def pairs(self, batch: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Place in the batch and channel of every row of these images, int64 ``(R,)`` each, in the order of `add`."""
        places, channels = self.index.tags[list(batch)].nonzero()
        return torch.from_numpy(places), torch.from_numpy(channels)

    def add(
        self,
        batch: Sequence[int],
        masks: dict[str, Tensor],
        quality: NDArray[np.float32],
        soft: Tensor | None = None,
    ) -> None:
        """Rows of images of one size.

        Args:
            batch: positions of the images. masks: stage -> bool ``(R, h, w)``. quality: ``(R, Q)``. soft: in [0, 1],
                ``(R, gh, gw)``.
        """
        rows = self.rows(batch)
        for stage, values in masks.items():
            packed = np.packbits(values.cpu().numpy(), axis=-1)
            self.stages[stage][rows, : packed.shape[1], : packed.shape[2]] = packed
        if soft is not None and self.soft is not None:
            self.soft[rows] = soft.cpu().numpy().astype(np.float16)
        self.quality[rows] = quality

    def rows(self, batch: Sequence[int]) -> NDArray[np.int64]:
        """Rows of these images in the shard, image by image."""
        starts = self.index.starts
        return np.concatenate([np.arange(starts[p], starts[p + 1]) for p in batch] or [np.zeros(0, int)]) - self.first

    def look_at(self, table: ImageTable) -> None:
        """Sizes and digests of the images of the shard."""
        for place, position in enumerate(table.soon(self.images)):
            image = table.image(position)
            self.sizes[place] = [*image.shape[-2:], *table.original_size(position)]
            self.pixels[place] = pixel_digest(image)

    def content(self) -> ShardRows:
        """What was gathered."""
        return ShardRows(self.stages, self.soft, self.quality, self.sizes, self.pixels)


def pixel_digest(image: Tensor) -> NDArray[Any]:
    """Digest of an image's pixels and size, uint32 ``(4,)``."""
    found = hashlib.blake2b(repr(tuple(image.shape)).encode(), digest_size=16)
    found.update(image.contiguous().numpy().tobytes())
    return np.frombuffer(found.digest(), "<u4")
