"""Co-segmentation (FMWISS sec. 3.2, recalled; see docs/fidelity.md): scorer and grouper make one refined mask per tag.

Shape suffixes: N images, C classes of the step, S seeds, H and W pixels, h and w coarse grid cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from kornia.filters import guided_blur
from torch import Tensor

from wilss.foundation.contracts import Grouper, Prompts, Scorer
from wilss.foundation.spec import CosegmentSpec


@dataclass(frozen=True)
class PseudoLabels:
    """Masks of a batch; channels of absent classes are empty, a pixel may belong to two classes.

    initial, refined: bool ``(N, C, H, W)``. soft: float32 ``(N, C, h, w)`` in [0, 1], the normalised score.
    agreement: float32 ``(N, C)``, IoU of the scorer's and the grouper's mask, NaN for absent classes.
    """

    initial: Tensor
    refined: Tensor
    soft: Tensor
    agreement: Tensor


def cosegment(
    images_N3HW: Tensor,
    tags_NC: Tensor,
    prompts: Prompts,
    others: Prompts,
    scorer: Scorer,
    grouper: Grouper,
    spec: CosegmentSpec,
    generator: torch.Generator,
) -> PseudoLabels:
    """Pseudo-masks of the tagged classes.

    Args:
        images_N3HW: float32 in [0, 1].
        tags_NC: bool, the image-level labels of the step's C classes.
        prompts: names of the C classes.
        others: names of classes that compete for pixels but get no mask (old class *names*; never their tags).
        generator: draws the seed points.

    Raises ValueError when ``tags_NC`` and ``prompts`` disagree.
    """
    if tags_NC.shape != (len(images_N3HW), len(prompts)):
        raise ValueError(f"tags have shape {tuple(tags_NC.shape)}; expected ({len(images_N3HW)}, {len(prompts)})")
    soft = normalised_scores(scorer.scores(images_N3HW, [*prompts, *others])[:, : len(prompts)], tags_NC)
    size = images_N3HW.shape[-2:]
    initial = F.interpolate(soft, size, mode="bilinear", align_corners=False) > spec.threshold
    fitted = enlarge(soft, images_N3HW, spec) > spec.threshold if spec.guided_radius else initial
    points = sample_seeds(soft, spec, generator)
    affinity = grouper.affinity(images_N3HW, points.flatten(1, 2)).unflatten(1, points.shape[1:3]).mean(2)
    level = mass_level(affinity, spec.keep, spec.keep_by)
    grouped = F.interpolate(affinity, size, mode="bilinear", align_corners=False) >= level
    seeds = grouped & tags_NC[..., None, None]
    return PseudoLabels(initial, _fuse(fitted, seeds, spec.fusion), soft, mask_agreement(initial, seeds))


def normalised_scores(scores_NChw: Tensor, tags_NC: Tensor) -> Tensor:
    """Min-max per image and class to [0, 1]; zero where the class is not tagged."""
    low = scores_NChw.amin((2, 3), keepdim=True)
    high = scores_NChw.amax((2, 3), keepdim=True)
    return (scores_NChw - low) / (high - low).clamp(min=1e-8) * tags_NC[..., None, None]


def sample_seeds(soft_NChw: Tensor, spec: CosegmentSpec, generator: torch.Generator) -> Tensor:
    """Draw N points per class inside its coarse initial mask; float32 ``(N, C, S, 2)`` as (x, y) in [0, 1).

    A class without any cell above the threshold (it is absent, or flat) gets points of its highest cells.
    """
    n, c, h, w = soft_NChw.shape
    flat = soft_NChw.flatten(2)
    region = flat > torch.minimum(torch.tensor(spec.threshold, device=flat.device), flat.amax(-1, keepdim=True) * 0.999)
    weights = region.float() if spec.seed_sampling == "uniform" else region * flat
    weights = weights + (weights.sum(-1, keepdim=True) == 0)
    index = torch.multinomial(weights.flatten(0, 1), spec.n_seeds, replacement=True, generator=generator)
    index = index.view(n, c, spec.n_seeds)
    return torch.stack([(index % w + 0.5) / w, (index // w + 0.5) / h], -1)


def mass_level(affinity_NChw: Tensor, keep: float, keep_by: str) -> Tensor:
    """Value of the last cell that is kept, float32 ``(N, C, 1, 1)``.

    By "mass": the smallest set of highest cells whose values sum to at least ``keep`` of the total is kept; by "area":
    that share of the cells.
    """
    flat = affinity_NChw.flatten(2)
    ordered = flat.sort(-1, descending=True).values
    if keep_by == "mass":
        before = ordered.cumsum(-1) - ordered
        count = (before < keep * ordered.sum(-1, keepdim=True) * (1 - 1e-6)).sum(-1).clamp(min=1)
    else:
        count = torch.full(flat.shape[:2], max(1, round(keep * flat.shape[-1])), device=flat.device)
    return ordered.gather(-1, count[..., None] - 1)[..., None]


def enlarge(maps_NChw: Tensor, images_N3HW: Tensor, spec: CosegmentSpec) -> Tensor:
    """Coarse maps at image size, ``(N, C, H, W)``: bilinear, then fitted to the image's edges if the recipe says so.

    The guided filter (He et al. 2010; fast form, He and Sun 2015) is kornia's.
    """
    size = images_N3HW.shape[-2:]
    large = F.interpolate(maps_NChw, size, mode="bilinear", align_corners=False)
    if not spec.guided_radius:
        return large
    kernel = min(2 * spec.guided_radius + 1, 2 * ((min(size) - 1) // 2) + 1)
    step = max(1, min(spec.guided_subsample, kernel // 4))
    return guided_blur(images_N3HW, large, kernel, spec.guided_eps, subsample=step)


def mask_agreement(first_NCHW: Tensor, second_NCHW: Tensor) -> Tensor:
    """IoU of two bool masks per class, NaN where both are empty; float32 ``(N, C)``."""
    both = (first_NCHW & second_NCHW).sum((2, 3)).float()
    either = (first_NCHW | second_NCHW).sum((2, 3)).float()
    return both / either.where(either > 0, torch.nan)


def _fuse(initial: Tensor, seeds: Tensor, fusion: str) -> Tensor:
    if fusion == "union":
        return initial | seeds
    if fusion == "intersection":
        return initial & seeds
    return initial if fusion == "initial" else seeds
