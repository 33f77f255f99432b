"""Where the grouper starts: seed points inside the initial masks.

Shape suffixes: N images, C classes, S seeds, h and w grid cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import torch
from torch import Tensor

from wilss.device import double
from wilss.foundation.spec import CosegmentSpec


def seed_noise(image_ids: Sequence[str], n_classes: int, n_seeds: int, seed: int) -> Tensor:
    """Uniform numbers that choose each image's seed points, float32 ``(N, C, S)`` in [0, 1).

    They depend on the image's id and the seed alone, so neither batches nor shards change a label.
    """
    rows = []
    for image_id in image_ids:
        generator = torch.Generator().manual_seed(crc32(f"{seed}/{image_id}".encode()))
        rows.append(torch.rand(n_classes, n_seeds, generator=generator))
    return torch.stack(rows)


def choose_seeds(soft_NChw: Tensor, noise_NCS: Tensor, spec: CosegmentSpec) -> Tensor:
    """Points inside each class's coarse initial mask; float32 ``(N, C, S, 2)`` as (x, y) in [0, 1).

    "uniform" draws with replacement in the mask, "weighted" in proportion to the score; "confident" takes the highest
    cells, "farthest" the highest cell and then whichever cell of the mask lies farthest from all chosen ones. A mask
    with fewer cells than S repeats them. A class without any cell above the threshold gets its highest cell.
    """
    h, w = soft_NChw.shape[-2:]
    flat = soft_NChw.flatten(2)
    highest = flat == flat.amax(-1, keepdim=True)
    region = (flat > spec.threshold) | highest
    if spec.seed_sampling in ("uniform", "weighted"):
        weights = region * (flat + 1e-6 if spec.seed_sampling == "weighted" else torch.ones_like(flat))
        index = _draw(weights, noise_NCS.to(flat.device))
    elif spec.seed_sampling == "confident":
        index = _highest(flat, region, spec.n_seeds)
    else:
        index = _farthest(flat, region, (h, w), spec.n_seeds)
    return torch.stack([(index % w + 0.5) / w, (index // w + 0.5) / h], -1)


def _draw(weights: Tensor, noise: Tensor) -> Tensor:
    """Invert the cumulative distribution at ``noise``; int64 ``(N, C, S)``."""
    cumulative = double(weights).cumsum(-1)
    index = torch.searchsorted(cumulative, double(noise) * cumulative[..., -1:], right=True)
    return index.clamp(max=weights.shape[-1] - 1).to(weights.device)


def _highest(flat: Tensor, region: Tensor, count: int) -> Tensor:
    order = torch.where(region, flat, -1.0).argsort(dim=-1, descending=True, stable=True)
    cells = region.sum(-1, keepdim=True)
    return order.gather(-1, torch.arange(count, device=flat.device).expand(*flat.shape[:2], -1) % cells)


def _farthest(flat: Tensor, region: Tensor, grid: tuple[int, int], count: int) -> Tensor:
    cells = torch.cartesian_prod(torch.arange(grid[0]), torch.arange(grid[1])).to(flat)
    chosen = [flat.argmax(-1)]
    distance = torch.full_like(flat, torch.inf)
    for _ in range(count - 1):
        step = (cells - cells[chosen[-1]][..., None, :]).square().sum(-1)
        distance = torch.minimum(distance, step)
        chosen.append(torch.where(region, distance, -1.0).argmax(-1))
    return torch.stack(chosen, -1)
