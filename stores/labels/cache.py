"""Masks in memory for training: coded rows of what is tagged; the dense tensor is made batch by batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from stores.labels.sets import LabelSet
from stores.labels.shards import decode_chunk


class LayerCache:
    """One stage of a label set in memory, for random access in training: some 500 bytes a row at 512 px.

    Opening raises DamagedArtefactError when a shard that is needed is damaged.

    Args:
        image_ids: whose masks ``layers`` gives by position; every one has a row.
    """

    def __init__(self, labels: LabelSet, image_ids: Sequence[str], stage: str = "refined") -> None:
        index = self.index = labels.index
        self.images = np.array([labels.position(image_id) for image_id in image_ids], np.int64)
        needed = sorted(set((self.images // index.shard_images).tolist()))
        self.coded = {shard: labels.stored.coded(stage, shard) for shard in needed}

    def layers(self, positions: Sequence[int]) -> Tensor:
        """See `wilss.learn.incremental.MaskLayers.layers`."""
        index = self.index
        dense = np.zeros((len(positions), len(index.classes), index.canvas, index.canvas), np.uint8)
        bits = np.zeros((index.canvas, index.width), np.uint8)
        for place, image in enumerate(self.images[list(positions)].tolist()):
            shard = image // index.shard_images
            first = int(index.starts[image]) - index.rows(shard).start
            for row, channel in enumerate(index.tags[image].nonzero()[0], first):
                bits[:] = 0
                decode_chunk(self.coded[shard][row], bits)
                dense[place, channel] = np.unpackbits(bits, axis=-1, count=index.canvas)
        return torch.from_numpy(dense)
