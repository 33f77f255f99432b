"""Input normalisation and sizing shared by the foundation adapters."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def prepare(
    images_N3HW: Tensor, mean: tuple[float, ...], std: tuple[float, ...], scale: float, multiple: int
) -> Tensor:
    """Resize by ``scale`` to the nearest multiples of ``multiple`` (at least one) and normalise.

    Args:
        images_N3HW: float32 in [0, 1].

    Raises ValueError for anything that is not a float batch of RGB images.
    """
    return normalised(resized(images_N3HW, scale, multiple), mean, std)


def resized(images_N3HW: Tensor, scale: float, multiple: int) -> Tensor:
    """The first half of `prepare`; the very tensor where its size stays. Raises as it does."""
    if images_N3HW.ndim != 4 or images_N3HW.shape[1] != 3 or not images_N3HW.is_floating_point():
        raise ValueError(
            f"images have shape {tuple(images_N3HW.shape)} and dtype {images_N3HW.dtype}; "
            "expected float (N, 3, H, W) in [0, 1]: stack RGB images and divide by 255"
        )
    height, width = prepared_size(images_N3HW.shape[-2], images_N3HW.shape[-1], scale, multiple)
    if (height, width) != tuple(images_N3HW.shape[-2:]):
        images_N3HW = F.interpolate(images_N3HW, (height, width), mode="bilinear", antialias=True)
    return images_N3HW


def normalised(images_N3HW: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """The second half of `prepare`."""
    shift = torch.tensor(mean, device=images_N3HW.device).view(3, 1, 1)
    spread = torch.tensor(std, device=images_N3HW.device).view(3, 1, 1)
    return (images_N3HW - shift) / spread


def prepared_size(height: int, width: int, scale: float, multiple: int) -> tuple[int, int]:
    """Height and width that `prepare` gives an image."""
    rounded = (max(multiple, round(side * scale / multiple) * multiple) for side in (height, width))
    return next(rounded), next(rounded)


def cells(seeds_NS2: Tensor, h: int, w: int) -> Tensor:
    """Index of the grid cell that holds each seed, int64 ``(N, S)`` in [0, h * w)."""
    column = (seeds_NS2[..., 0] * w).long().clamp(0, w - 1)
    row = (seeds_NS2[..., 1] * h).long().clamp(0, h - 1)
    return row * w + column
