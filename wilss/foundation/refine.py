"""Fitting coarse maps to the image: the cheap guided filter, and pixel-adaptive mask refinement (PAMR).

Shape suffixes: N images, C maps, H and W pixels, D offsets.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from kornia.filters import guided_blur
from torch import Tensor

from wilss.foundation.spec import CosegmentSpec

PAMR_VERSION = 2
"""Raised whenever `pamr` gives other maps; it counts in the digests of label sets that are refined by it."""


def fit_to_image(maps_NCHW: Tensor, images_N3HW: Tensor, spec: CosegmentSpec) -> Tensor:
    """Maps whose edges follow the image's, by the filter that the recipe names; unchanged for "none".

    Args:
        maps_NCHW: float32, at image size.
        images_N3HW: float32 in [0, 1].
    """
    if spec.refine == "guided":
        return _guided(maps_NCHW, images_N3HW, spec)
    if spec.refine == "pamr":
        return _pamr_at_working_size(maps_NCHW, images_N3HW, spec)
    return maps_NCHW


def _guided(maps_NCHW: Tensor, images_N3HW: Tensor, spec: CosegmentSpec) -> Tensor:
    """Guided filter (He et al. 2010) in its fast form (He and Sun 2015), kornia's."""
    shorter = min(images_N3HW.shape[-2:])
    kernel = min(2 * spec.guided_radius + 1, 2 * ((shorter - 1) // 2) + 1)
    step = max(1, min(spec.guided_subsample, kernel // 4))
    return guided_blur(images_N3HW, maps_NCHW, kernel, spec.guided_eps, subsample=step)


def _pamr_at_working_size(maps_NCHW: Tensor, images_N3HW: Tensor, spec: CosegmentSpec) -> Tensor:
    size = images_N3HW.shape[-2:]
    factor = min(1.0, spec.pamr_side / max(size))
    if factor == 1.0:
        return pamr(images_N3HW, maps_NCHW, spec.pamr_iterations, spec.pamr_dilations)
    small = (max(1, round(size[0] * factor)), max(1, round(size[1] * factor)))
    image, maps = (F.interpolate(x, small, mode="bilinear", antialias=True) for x in (images_N3HW, maps_NCHW))
    refined = pamr(image, maps, spec.pamr_iterations, spec.pamr_dilations)
    return F.interpolate(refined, size, mode="bilinear", align_corners=False)


def pamr(images_N3HW: Tensor, maps_NCHW: Tensor, iterations: int, dilations: tuple[int, ...]) -> Tensor:
    """Pixel-adaptive mask refinement (Araslanov and Roth 2020): iterated local averages.

    A pixel's weights over its 8 neighbours at every dilation are the softmax of -|difference| / (0.1 sigma), averaged
    over the colour channels; sigma is the standard deviation of the neighbourhoods, which hold the pixel itself once
    for each dilation, as in the released code. Borders are replicated.

    Args:
        images_N3HW: float32.
        maps_NCHW: float32, same H x W.

    Returns:
        float32 ``(N, C, H, W)`` in the range of ``maps_NCHW``.
    """
    offsets = [(dy * d, dx * d) for d in dilations for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    spread = _neighbourhood_spread(images_N3HW, [*offsets, *[(0, 0)] * len(dilations)])
    pad = max(dilations)
    padded = F.pad(images_N3HW, (pad,) * 4, mode="replicate")
    logits = [
        -((_shifted(padded, offset, pad, images_N3HW) - images_N3HW).abs() / (0.1 * spread + 1e-8)).mean(1)
        for offset in offsets
    ]
    weights_NDHW = torch.stack(logits, 1).softmax(1)
    for _ in range(iterations):
        padded = F.pad(maps_NCHW, (pad,) * 4, mode="replicate")
        total = torch.zeros_like(maps_NCHW)
        for number, offset in enumerate(offsets):  # one shifted view at a time: no (D, C, H, W) tensor
            total.addcmul_(_shifted(padded, offset, pad, maps_NCHW), weights_NDHW[:, number, None])
        maps_NCHW = total
    return maps_NCHW


def _neighbourhood_spread(images_N3HW: Tensor, offsets: list[tuple[int, int]]) -> Tensor:
    """Standard deviation over the pixels at all offsets, ``(N, 3, H, W)``; from the mean, as nothing cancels then."""
    pad = max(abs(value) for offset in offsets for value in offset)
    padded = F.pad(images_N3HW, (pad,) * 4, mode="replicate")
    mean = torch.zeros_like(images_N3HW)
    for offset in offsets:
        mean += _shifted(padded, offset, pad, images_N3HW) / len(offsets)
    squares = torch.zeros_like(images_N3HW)
    for offset in offsets:
        squares += (_shifted(padded, offset, pad, images_N3HW) - mean).square()
    return (squares / (len(offsets) - 1)).sqrt()


def _shifted(padded: Tensor, offset: tuple[int, int], pad: int, like: Tensor) -> Tensor:
    height, width = like.shape[-2:]
    return padded[..., pad + offset[0] : pad + offset[0] + height, pad + offset[1] : pad + offset[1] + width]
