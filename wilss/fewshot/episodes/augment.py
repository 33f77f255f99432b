"""PFENet's training transform, batched: scale, rotate, blur, flip, crop; each image of an episode on its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from kornia.filters import gaussian_blur2d
from kornia.geometry.transform import warp_affine
from torch import Tensor

from wilss.data.source import VOID
from wilss.device import to_device
from wilss.fewshot.episodes.spec import EpisodeAugmentSpec

BLUR_KERNEL, BLUR_SIGMA = 5, 1.1
"""OpenCV's kernel of 5 pixels has this deviation."""


@dataclass(frozen=True)
class EpisodeView:
    """One drawn transform for N images.

    matrix: float32 ``(N, 2, 3)``, canvas pixels -> crop pixels. blurred: bool ``(N,)``.
    """

    matrix: Tensor
    blurred: Tensor
    crop: int

    def of(self, rows: Tensor) -> EpisodeView:
        """The transforms of some images, int64 ``(n,)``."""
        return EpisodeView(self.matrix[rows], self.blurred[rows], self.crop)

    def images(self, images_N3SS: Tensor, outside_3: Tensor) -> Tensor:
        """float32 images -> ``(N, 3, crop, crop)``; what lies outside has one colour, given on the images' device."""
        colour = outside_3[:, None, None]
        matrix = to_device(self.matrix, images_N3SS.device)
        out = warp_affine(images_N3SS - colour, matrix, self._size, "bilinear")  # it brings in zeros
        if bool(self.blurred.any()):
            rows = to_device(self.blurred, out.device)
            soft = gaussian_blur2d(out[rows], (BLUR_KERNEL, BLUR_KERNEL), (BLUR_SIGMA, BLUR_SIGMA))
            out = out.index_put((rows,), soft)
        return out + colour

    def labels(self, labels_NSS: Tensor) -> Tensor:
        """uint8 labels ``(N, S, S)`` -> ``(N, crop, crop)``, nearest; 255 outside."""
        return _warp_labels(labels_NSS, self.matrix, self.crop)

    @property
    def _size(self) -> tuple[int, int]:
        return (self.crop, self.crop)


def draw_episode_view(
    spec: EpisodeAugmentSpec, sizes_N2: Tensor, labels_NSS: Tensor, crop: int, generator: torch.Generator
) -> EpisodeView:
    """Draw a transform for each image; crops are drawn again until enough of the foreground survives.

    Args:
        sizes_N2: true (height, width) of the images, which fill the top left of their canvas.
        labels_NSS: uint8, 0 background, 255 void, all else foreground; on the CPU, as the generator.
    """
    n = len(sizes_N2)
    scale = torch.empty(n).uniform_(*spec.scale, generator=generator)
    angle = torch.empty(n).uniform_(-spec.rotation, spec.rotation, generator=generator) * math.pi / 180
    angle = angle * (torch.rand(n, generator=generator) < spec.rotate)
    mirror = torch.where(torch.rand(n, generator=generator) < spec.flip, -1.0, 1.0)
    blurred = torch.rand(n, generator=generator) < spec.blur
    turned = _about_centre(scale, angle, mirror, sizes_N2.float())
    scaled = sizes_N2.float() * scale[:, None]
    wanted = spec.keep * _foreground_pixels(labels_NSS) * scale**2
    matrix, open_rows = turned.clone(), torch.arange(n)
    for _ in range(spec.draws):
        matrix[open_rows] = _crop(turned[open_rows], scaled[open_rows], crop, generator)
        found = _foreground_pixels(_warp_labels(labels_NSS[open_rows], matrix[open_rows], crop))
        open_rows = open_rows[found < wanted[open_rows]]
        if not len(open_rows):
            break
    return EpisodeView(matrix, blurred, crop)


def turned_view(degrees: float, count: int, side: int) -> EpisodeView:
    """``count`` images ``side`` pixels wide and high, turned by the same angle about their centres."""
    ones = torch.ones(count)
    matrix = _about_centre(ones, ones * math.radians(degrees), ones, torch.full((count, 2), float(side)))
    return EpisodeView(matrix, torch.zeros(count, dtype=torch.bool), side)


def _foreground_pixels(labels_NSS: Tensor) -> Tensor:
    return ((labels_NSS != 0) & (labels_NSS != VOID)).sum((1, 2))


def _about_centre(scale: Tensor, angle: Tensor, mirror: Tensor, sizes: Tensor) -> Tensor:
    """Mirror, turn and scale about the image's centre, which goes to the centre of the scaled image."""
    cos, sin = angle.cos() * scale, angle.sin() * scale
    linear = torch.stack([torch.stack([cos * mirror, sin], 1), torch.stack([-sin * mirror, cos], 1)], 1)
    centre = (sizes.flip(1) - 1) / 2
    target = (sizes.flip(1) * scale[:, None] - 1) / 2
    shift = target - (linear @ centre[:, :, None])[:, :, 0]
    return torch.cat([linear, shift[:, :, None]], 2)


def _crop(matrix: Tensor, scaled: Tensor, crop: int, generator: torch.Generator) -> Tensor:
    """Shift so that a random window of a larger image, or the whole of a smaller one in the middle, is shown."""
    room = scaled.flip(1) - crop
    offset = torch.rand(len(matrix), 2, generator=generator) * room.clamp(min=0) + room.clamp(max=0) / 2
    moved = matrix.clone()
    moved[:, :, 2] -= offset
    return moved


def _warp_labels(labels_NSS: Tensor, matrix: Tensor, crop: int) -> Tensor:
    shifted = labels_NSS[:, None].float() + 1  # 0 is what comes in from outside
    warped = warp_affine(shifted, matrix.to(labels_NSS.device), (crop, crop), "nearest")[:, 0]
    return torch.where(warped == 0, VOID, warped - 1).to(torch.uint8)
