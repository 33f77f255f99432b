"""What the old model sees in the images of a step: kept as far as it may be, for neither changes while it is learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.data.images import ImageTable
from wilss.nets.segmenter import Segmenter
from wilss.precision import autocast
from wilss.section import Precision


class Sight(NamedTuple):
    """Of one image: uint8 ``(h, w)`` of the model's output cells, and the image's height and width on the canvas."""

    cells: Tensor
    size: tuple[int, int]


@dataclass(eq=False)
class Seen:
    """The old model's outputs with the highest score, by position; kept as far as the images' room has place.

    Every image is looked at in its size on the canvas, unaugmented and alone, so that what is seen depends neither on
    the batch that it comes in nor on where a training was taken up again.
    """

    old: Segmenter
    images: ImageTable
    precision: Precision
    _kept: dict[int, Sight] = field(default_factory=dict, repr=False)

    def canvases(self, positions: Sequence[int]) -> Tensor:
        """uint8 ``(N, 1, canvas, canvas)`` of output channels, 0 outside of the images; on the CPU."""
        stacked = torch.zeros(len(positions), 1, self.images.canvas, self.images.canvas, dtype=torch.uint8)
        for row, position in enumerate(positions):
            sight = self._kept.get(position) or self._look(position)
            height, width = sight.size
            stacked[row, :, :height, :width] = F.interpolate(sight.cells[None, None], sight.size, mode="nearest-exact")
        return stacked

    def _look(self, position: int) -> Sight:
        device, image = next(self.old.parameters()).device, self.images.image(position)
        with torch.inference_mode(), autocast(self.precision, device):
            cells = self.old(image[None].to(device).float() / 255).argmax(1)[0].to("cpu", torch.uint8)
        sight = Sight(cells.clone(), (image.shape[1], image.shape[2]))
        if self.images.room.take(self, cells.numel()):
            self._kept[position] = sight
        return sight
