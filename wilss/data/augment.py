"""Batched random resized crop, flip and colour jitter on the device of the images (WILSON's training transform)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from kornia.enhance import adjust_hue, adjust_saturation
from kornia.geometry.transform import warp_affine
from torch import Tensor

from wilss.data.spec import AugmentSpec
from wilss.device import to_device
from wilss.parallel.rows import Rows


@dataclass(frozen=True)
class View:
    """One drawn transform for a batch.

    matrix: float32 ``(N, 2, 3)``, pixel centres of the canvas -> pixel centres of the crop.
    colour: float32 ``(N, 3)`` gain, saturation factor and hue shift (in turns).
    """

    matrix: Tensor
    colour: Tensor
    crop: int
    jitter: tuple[bool, bool, bool]

    def of(self, rows: Tensor) -> View:
        """The same transform for some of the batch, int64 ``(n,)`` on the CPU."""
        return View(self.matrix[rows], self.colour[rows], self.crop, self.jitter)

    def images(self, images_N3SS: Tensor) -> Tensor:
        """uint8 canvas on any device -> float32 ``(N, 3, crop, crop)`` in [0, 1], bilinear."""
        sampled = self._warp(images_N3SS.float() / 255, "bilinear")
        gain, saturation, hue = to_device(self.colour, sampled.device).unbind(1)
        if self.jitter[0]:
            sampled = (sampled * gain[:, None, None, None]).clamp(0, 1)
        if self.jitter[1]:
            sampled = adjust_saturation(sampled, saturation)
        if self.jitter[2]:
            sampled = adjust_hue(sampled, 2 * torch.pi * hue)
        return sampled

    def labels(self, labels_NSS: Tensor) -> Tensor:
        """uint8 label maps ``(N, S, S)`` -> uint8 ``(N, crop, crop)``, nearest."""
        return self.layers(labels_NSS[:, None])[:, 0]

    def layers(self, layers_NCSS: Tensor) -> Tensor:
        """uint8 layers ``(N, C, S, S)`` -> uint8 ``(N, C, crop, crop)``, nearest, so that no new value appears."""
        return self._warp(layers_NCSS.float(), "nearest").to(torch.uint8)

    def _warp(self, values: Tensor, mode: str) -> Tensor:
        size = (self.crop, self.crop)
        # with align_corners=True kornia maps pixel centres exactly; the crop lies inside, so that only the half pixel
        # beyond an outermost centre ever needs the border
        return warp_affine(
            values,
            to_device(self.matrix, values.device),
            size,
            mode,
            padding_mode="border",
            align_corners=True,
        )


def draw_view(spec: AugmentSpec, sizes_N2: Tensor, generator: torch.Generator, rows: Rows | None = None) -> View:
    """Draw a crop inside the true image area of each canvas, whose top left the image fills.

    Args:
        sizes_N2: true (height, width) in pixels on the canvas.
        generator: on the CPU, so that a seed draws the same views on every device.
        rows: of a larger batch, which these canvases are; numbers are drawn for all of it.
    """
    n, rows = len(sizes_N2), rows or Rows.all(len(sizes_N2))
    height, width = sizes_N2[:, 0].float(), sizes_N2[:, 1].float()
    area = rows.uniform(spec.min_area, 1.0, generator=generator) * height * width
    bound = torch.tensor(spec.max_ratio).log()
    ratio = (rows.uniform(-1, 1, generator=generator) * bound).exp()
    crop_w, crop_h = torch.minimum((area * ratio).sqrt(), width), torch.minimum((area / ratio).sqrt(), height)
    left = rows.rand(generator=generator) * (width - crop_w)
    top = rows.rand(generator=generator) * (height - crop_h)
    flip = rows.rand(generator=generator) < spec.flip
    matrix = torch.zeros(n, 2, 3)
    zoom_x, zoom_y = spec.crop / crop_w, spec.crop / crop_h
    matrix[:, 0, 0], matrix[:, 1, 1] = torch.where(flip, -zoom_x, zoom_x), zoom_y
    # a pixel centre x lies at x + 0.5 from the image's edge
    first = torch.where(flip, spec.crop - (0.5 - left) * zoom_x, (0.5 - left) * zoom_x) - 0.5
    matrix[:, 0, 2], matrix[:, 1, 2] = first, (0.5 - top) * zoom_y - 0.5
    spread = torch.tensor([spec.brightness, spec.saturation, spec.hue])
    colour = torch.tensor([1.0, 1.0, 0.0]) + spread * rows.uniform(-1, 1, 3, generator=generator)
    return View(matrix, colour, spec.crop, (spec.brightness > 0, spec.saturation > 0, spec.hue > 0))
