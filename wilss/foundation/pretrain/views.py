"""Batched random views for pretraining: crop, flip and colour changes, each drawn per image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.parallel.rows import Rows


def random_view(
    images: Tensor, size: int, scale: tuple[float, float], generator: torch.Generator, rows: Rows, grey: float = 0.2
) -> Tensor:
    """Crop an area share in ``scale``, flip, jitter colour; uint8 ``(n, 3, H, W)`` -> float32 ``(n, 3, size, size)``.

    The result is normalised to mean 0.5 and standard deviation 0.25 (values about -2..2).

    Args:
        rows: which of the batch's images these are; random numbers are drawn for all.
    """
    n = len(images)
    side = rows.uniform(*scale, generator=generator).sqrt()
    centre = rows.uniform(-1, 1, 2, generator=generator) * (1 - side)[:, None]
    flip = torch.where(rows.rand(generator=generator) < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = side * flip, side
    theta[:, :, 2] = centre
    grid = F.affine_grid(theta, [n, 3, size, size], align_corners=False)
    view = F.grid_sample(images.float() / 255, grid, padding_mode="reflection", align_corners=False)
    return (_jitter(view, generator, rows, grey) - 0.5) / 0.25


def _jitter(view: Tensor, generator: torch.Generator, rows: Rows, grey: float) -> Tensor:
    """Random mixing of the colour channels, gain, offset and (with probability ``grey``) no colour at all."""
    mix = torch.eye(3) + 0.25 * rows.randn(3, 3, generator=generator)
    gain = rows.uniform(0.7, 1.3, 3, 1, 1, generator=generator)
    offset = rows.uniform(-0.15, 0.15, 3, 1, 1, generator=generator)
    mixed = torch.einsum("nij,njhw->nihw", mix, view - 0.5) * gain + 0.5 + offset
    drop = rows.rand(1, 1, 1, generator=generator) < grey
    return torch.where(drop, mixed.mean(1, keepdim=True), mixed).clamp(0, 1)
