"""Masks in memory for training: coded rows of what is tagged; the dense tensor is made batch by batch."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stores.labels.sets import LabelSet
from stores.labels.shards import decode_chunk
from wilss.data.room import Room


class LayerCache:
    """One stage of a label set in memory, for random access in training: some 500 bytes a row at 512 px.

    Opening raises DamagedArtefactError when a shard that is needed is damaged.

    Args:
        image_ids: whose masks ``layers`` gives by position; every one has a row.
        room: rows of shards for which there is none are read from their files whenever they are asked for.
    """

    def __init__(
        self, labels: LabelSet, image_ids: Sequence[str], stage: str = "refined", room: Room | None = None
    ) -> None:
        self.labels, self.stage, self.room = labels, stage, room or Room()
        index = self.index = labels.index
        self.images = np.array([labels.position(image_id) for image_id in image_ids], np.int64)
        needed = sorted(set((self.images // index.shard_images).tolist()))
        self.coded: dict[int, list[bytes]] = {}
        for shard in needed:  # each is looked at, whether it is kept or not
            rows = labels.stored.coded(stage, shard)
            if self.room.take(self, sum(map(sys.getsizeof, rows))):
                self.coded[shard] = rows

    def layers(self, positions: Sequence[int]) -> Tensor:
        """See `wilss.learn.incremental.MaskLayers.layers`."""
        index = self.index
        dense = np.zeros((len(positions), len(index.classes), index.canvas, index.canvas), np.uint8)
        for place, image in enumerate(self.images[list(positions)].tolist()):
            for channel, bits in zip(index.tags[image].nonzero()[0], self._packed(image), strict=True):
                dense[place, channel] = np.unpackbits(bits, axis=-1, count=index.canvas)
        return torch.from_numpy(dense)

    def _packed(self, image: int) -> NDArray[np.uint8]:
        """Masks of an image's classes, ``(R, S, ceil(S / 8))``."""
        index, shard = self.index, image // self.index.shard_images
        if shard not in self.coded:
            return self.labels.packed(self.stage, image, image + 1)
        first = int(index.starts[image]) - index.rows(shard).start
        rows = self.coded[shard][first : first + int(index.tags[image].sum())]
        packed = np.zeros((len(rows), index.canvas, index.width), np.uint8)
        for content, bits in zip(rows, packed, strict=True):
            decode_chunk(content, bits)
        return packed
