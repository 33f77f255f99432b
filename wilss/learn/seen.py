"""What the old model sees in the images of a step: looked at once, since neither changes while the step is learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.data.images import ImageTable
from wilss.nets.segmenter import Segmenter
from wilss.precision import autocast
from wilss.section import Precision


@dataclass(eq=False)
class Seen:
    """The old model's outputs with the highest score, by position; kept as far as the images' room has place.

    Every image is looked at in its size on the canvas, unaugmented and alone, so that what is seen depends neither on
    the batch that it comes in nor on where a training was taken up again.
    """

    old: Segmenter
    images: ImageTable
    precision: Precision
    _kept: dict[int, Tensor] = field(default_factory=dict, repr=False)

    def canvases(self, positions: Sequence[int]) -> Tensor:
        """uint8 ``(N, 1, canvas, canvas)`` of output channels, 0 outside of the images; on the CPU."""
        stacked = torch.zeros(len(positions), 1, self.images.canvas, self.images.canvas, dtype=torch.uint8)
        for row, position in enumerate(positions):
            height, width = self.images.image(position).shape[-2:]
            cells = self._cells(position)[None, None]
            stacked[row, :, :height, :width] = F.interpolate(cells, (height, width), mode="nearest-exact")[0]
        return stacked

    def _cells(self, position: int) -> Tensor:
        """uint8 ``(h, w)`` of the model's output cells."""
        if (known := self._kept.get(position)) is not None:
            return known
        device = next(self.old.parameters()).device
        image = self.images.image(position)[None].to(device).float() / 255
        with torch.inference_mode(), autocast(self.precision, device):
            cells = self.old(image).argmax(1)[0].to("cpu", torch.uint8).clone()
        if self.images.room.take(self.images, cells.numel()):
            self._kept[position] = cells
        return cells
