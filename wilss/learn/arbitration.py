"""Old or new, region by region: SASA's arbitration, on any regions, and Teddy's rule on seeds (ECCV 2024).

Shape suffixes: N images, C new classes, O background + old classes, h and w feature cells.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

FINER = 4
"""Superpixels are cut from images of so many pixels a side of a cell: what owns a cell is decided by its parts."""


def affine_regions(features_NDhw: Tensor, least_cosine: float) -> Tensor:
    """Connected components of neighbouring cells (above, below, beside) whose features have this cosine or more.

    Returns:
        int64 ``(N, h, w)``, numbered from 0 over the whole batch; no region spans two images.
    """
    unit = F.normalize(features_NDhw.float(), dim=1)
    n, _, height, width = unit.shape
    cells = np.arange(n * height * width).reshape(n, height, width)
    down = ((unit[:, :, 1:] * unit[:, :, :-1]).sum(1) >= least_cosine).cpu().numpy()
    right = ((unit[:, :, :, 1:] * unit[:, :, :, :-1]).sum(1) >= least_cosine).cpu().numpy()
    first = np.concatenate([cells[:, :-1][down], cells[:, :, :-1][right]])
    second = np.concatenate([cells[:, 1:][down], cells[:, :, 1:][right]])
    graph = coo_matrix((np.ones(len(first), bool), (first, second)), (cells.size, cells.size))
    _, names = connected_components(graph, directed=False)
    return torch.from_numpy(names.astype(np.int64).reshape(cells.shape)).to(features_NDhw.device)


def superpixels(images_N3HW: Tensor, cells: tuple[int, int], count: int) -> Tensor:
    """SLIC's superpixels (Achanta et al., TPAMI 2012), as scikit-image computes them, about ``count`` an image.

    Args:
        images_N3HW: float, in [0, 1]. cells: height and width of the features that they are for.

    Returns:
        int64 ``(N, FINER h, FINER w)``, numbered from 0 over the whole batch; no superpixel spans two images.
    """
    from skimage.segmentation import slic

    small = F.adaptive_avg_pool2d(images_N3HW.float(), (FINER * cells[0], FINER * cells[1]))
    names: list[Tensor] = []
    for image in small.permute(0, 2, 3, 1).cpu().numpy():
        own = torch.from_numpy(slic(image, n_segments=count, start_label=0).astype(np.int64))
        names.append(own if not names else own + names[-1].max() + 1)
    return torch.stack(names).to(images_N3HW.device)


def claimed_shares(regions_Nhw: Tensor, masks_NChw: Tensor) -> Tensor:
    """Share of each cell's region that every new class claims, its middle counting most; float32 ``(N, C, h, w)``.

    Weights exp(-|p - c|^2 / (2 s^2)) of the distance to the region's centre c, s = max(1, sqrt(area) / 2) (SASA).
    """
    n, height, width = regions_Nhw.shape
    flat, device = regions_Nhw.flatten(), regions_Nhw.device
    count = int(flat.max()) + 1

    def summed(values: Tensor) -> Tensor:
        return torch.zeros(count, device=device).index_add_(0, flat, values)

    y = torch.arange(height, device=device).float()[None, :, None].expand(n, -1, width).flatten()
    x = torch.arange(width, device=device).float()[None, None].expand(n, height, -1).flatten()
    area = summed(torch.ones_like(y))
    away = (y - (summed(y) / area)[flat]) ** 2 + (x - (summed(x) / area)[flat]) ** 2
    spread = (area.sqrt() / 2).clamp(min=1)[flat]
    weight = torch.exp(-away / (2 * spread**2))
    total = summed(weight)
    of_class = [summed(weight * masks_NChw[:, c].float().flatten()) / total for c in range(masks_NChw.shape[1])]
    return torch.stack([share[flat].view(n, height, width) for share in of_class], 1)


def arbitrate(masks_NChw: Tensor, old_NOhw: Tensor, regions_Nhw: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Who owns a cell: the new classes where one claims more than ``share`` of its region, else the old model.

    Args:
        masks_NChw: in [0, 1]. old_NOhw: the old model's probabilities. regions_Nhw: of these cells, or of parts of
            them.

    Returns:
        factors float32 ``(N, 1, h, w)`` of the new classes and of the old ones: 0 for new classes in a region that is
        not theirs and where the old model sees an old class; 0 for old classes in a region that is new. Between them
        for cells whose parts have different owners.
    """
    (height, width), parts = masks_NChw.shape[-2:], regions_Nhw.shape[-2:]
    seen = (old_NOhw.argmax(1, keepdim=True) > 0).float()
    masks, seen = (F.interpolate(given, parts, mode="nearest-exact") for given in (masks_NChw.float(), seen))
    new = claimed_shares(regions_Nhw, masks).amax(1, keepdim=True) > share
    old = ~new & (seen > 0)
    new_stays, old_stays = (F.adaptive_avg_pool2d((~other).float(), (height, width)) for other in (old, new))
    return new_stays, old_stays


def without_conflicts(masks_NChw: Tensor, old_NOhw: Tensor, most: float) -> Tensor:
    """Pseudo-masks but for cells to which the old model gives an old class with more than ``most`` (Teddy)."""
    return masks_NChw * (old_NOhw[:, 1:].amax(1, keepdim=True) <= most)
