"""Parts that the few-shot heads share: masked averages, the prior mask, reduced middle features, blocks and losses.

Equations: PFENet (Tian et al., TPAMI 2020) and its official code, where every enlargement aligns corners.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wilss.fewshot.heads.contract import IGNORE, HeadInput
from wilss.fewshot.pyramid import Features, MiddleFeatures
from wilss.parallel.ranks import here

AREA_FLOOR = 5e-4
"""Added to the area of a mask before a division by it (PFENet's code)."""
NORM_FLOOR = 1e-7


def resize(maps: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Bilinear, corners aligned: ``(N, C, h, w)`` to ``(N, C, *size)``."""
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=True)


def soft_masks(support_mask: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Foreground of support masks uint8 ``(B, K, H, W)`` as float32 ``(B * K, 1, *size)`` in [0, 1], bilinear."""
    return resize((support_mask == 1).flatten(0, 1)[:, None].float(), size)


def masked_average(features: Tensor, mask: Tensor) -> Tensor:
    """Mean feature under a soft mask: ``(N, C, h, w)``, ``(N, 1, h, w)`` -> ``(N, C, 1, 1)``; 0 under an empty one."""
    return (features * mask).sum((2, 3), keepdim=True) / (mask.sum((2, 3), keepdim=True) + AREA_FLOOR)


def prior_mask(query: Tensor, support: Tensor) -> Tensor:
    """Highest cosine of every query position to the support positions, scaled to [0, 1] image by image.

    Args:
        query: ``(N, C, h, w)``, the deepest features. support: the same of one support, zero outside its object.

    Returns:
        float32 ``(N, 1, h, w)``; all zero where the support is.
    """
    n, _, height, width = query.shape
    with torch.autocast(query.device.type, enabled=False):  # bf16 steps would be stretched to the whole range below
        exact = torch.promote_types(query.dtype, torch.float32)
        # lengths are taken out first: only one map of positions x positions is made, and kept for the gradient
        query, support = (F.normalize(f.flatten(2).to(exact), dim=1, eps=NORM_FLOOR) for f in (query, support))
        best = torch.bmm(query.transpose(1, 2), support).amax(2)
    low, high = best.amin(1, keepdim=True), best.amax(1, keepdim=True)
    return ((best - low) / (high - low + NORM_FLOOR)).reshape(n, 1, height, width)


def support_priors(
    query: Features, support: MiddleFeatures, support_mask: Tensor, last_stage: Callable[[Tensor], Tensor]
) -> Tensor:
    """PFENet's prior of every support: the mask is laid on c4 before the last stage and on c5 after it.

    Returns:
        float32 ``(B, K, 1, h, w)`` at the size of c4.
    """
    n, shots = support_mask.shape[:2]
    before = soft_masks(support_mask, support.c4.shape[-2:])
    deepest = last_stage(support.c4 * before)
    deepest = deepest * resize(before, deepest.shape[-2:])
    prior = prior_mask(query.c5.repeat_interleave(shots, 0), deepest)
    return resize(prior, query.c4.shape[-2:]).reshape(n, shots, 1, *query.c4.shape[-2:])


def describe_supports(reduced: Tensor, inputs: HeadInput, detach_prior: bool) -> tuple[Tensor, Tensor]:
    """What the supports say, support by support.

    Args:
        reduced: middle features of the supports ``(B * K, C, h, w)``.
        detach_prior: let no gradient through the priors.

    Returns:
        Prototypes ``(B, K, C, 1, 1)`` and priors float32 ``(B, K, 1, h, w)``.
    """
    prototypes = masked_average(reduced, soft_masks(inputs.support_mask, reduced.shape[-2:]))
    with torch.set_grad_enabled(torch.is_grad_enabled() and not detach_prior):
        priors = support_priors(inputs.query, inputs.support, inputs.support_mask, inputs.last_stage)
    return prototypes.unflatten(0, (-1, inputs.shots)), priors


def middle(features: Features | MiddleFeatures) -> Tensor:
    """c4 and c3 side by side at the size of c4: ``(N, C4 + C3, h, w)``."""
    return torch.cat([features.c4, resize(features.c3, features.c4.shape[-2:])], 1)


def reduce_middle(in_channels: int, channels: int) -> nn.Sequential:
    """1x1 reduction of the middle features, ReLU, channel dropout 0.5."""
    return nn.Sequential(nn.Conv2d(in_channels, channels, 1, bias=False), nn.ReLU(), nn.Dropout2d(0.5))


def merge(in_channels: int, channels: int) -> nn.Sequential:
    """1x1 convolution without bias, ReLU."""
    return nn.Sequential(nn.Conv2d(in_channels, channels, 1, bias=False), nn.ReLU())


def two_convolutions(channels: int) -> nn.Sequential:
    """3x3, ReLU, 3x3, ReLU without bias: the branch of a residual block."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.ReLU(),
    )


def classifier(channels: int) -> nn.Sequential:
    """3x3, ReLU, channel dropout 0.1, 1x1 to background and foreground."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.Dropout2d(0.1),
        nn.Conv2d(channels, 2, 1),
    )


def pixel_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of logits ``(B, C, h, w)``, enlarged, against labels uint8 ``(B, H, W)``; 255 does not count.

    Zero, not NaN, where nothing counts.
    """
    enlarged = resize(logits.float(), labels.shape[-2:])
    total = F.cross_entropy(enlarged, labels.long(), ignore_index=IGNORE, reduction="sum")
    return total / here().evened((labels != IGNORE).sum(), 1)
