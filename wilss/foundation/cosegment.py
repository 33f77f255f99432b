"""Co-segmentation (FMWISS sec. 3.2, recalled; see docs/fidelity.md): scorer and grouper make one refined mask per tag.

Shape suffixes: N images, C classes of the step, T the most tags that one image of the batch has, S seeds, H and W
pixels, h and w coarse grid cells. All work after the scores grows with T, not with C.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.errors import SpecError
from wilss.foundation.contracts import Grouper, Prompts, Scorer
from wilss.foundation.refine import fit_to_image
from wilss.foundation.seeds import choose_seeds
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


@torch.inference_mode()
def cosegment(
    images_N3HW: Tensor,
    tags_NC: Tensor,
    prompts: Prompts,
    others: Prompts,
    scorer: Scorer,
    grouper: Grouper,
    spec: CosegmentSpec,
    noise_NCS: Tensor,
) -> PseudoLabels:
    """Pseudo-masks of the tagged classes.

    Args:
        images_N3HW: float32 in [0, 1].
        tags_NC: bool, the image-level labels of the step's C classes. An image without any tag gets empty masks.
        prompts: names of the C classes.
        others: names of classes that compete for pixels but get no mask (old class *names*; never their tags).
        noise_NCS: uniform numbers in [0, 1) that choose the seed points (see `wilss.foundation.seeds.seed_noise`).

    Raises SpecError without any class, ValueError when ``tags_NC`` and ``prompts`` disagree.
    """
    if not prompts:
        raise SpecError("the ontology is empty: there is no class to label; give at least one class with a prompt")
    n, size = len(images_N3HW), images_N3HW.shape[-2:]
    if tags_NC.shape != (n, len(prompts)):
        raise ValueError(f"tags have shape {tuple(tags_NC.shape)}; expected ({n}, {len(prompts)})")
    tags_NC = tags_NC.to(images_N3HW.device)
    slots_NT, used_NT = tag_slots(tags_NC)
    scores = scorer.scores(images_N3HW, [*prompts, *others])
    soft = normalised_scores(_pick(scores, slots_NT), used_NT)
    initial = F.interpolate(soft, size, mode="bilinear", align_corners=False) > spec.threshold
    points = choose_seeds(soft, _pick(noise_NCS.to(soft.device), slots_NT), spec)
    affinity, between = _group(images_N3HW, points, grouper, spec.propagate > 0)
    kept = (affinity >= mass_level(affinity, spec.keep, spec.keep_by)).float()
    seeds = F.interpolate(kept, size, mode="bilinear", align_corners=False) >= 0.5
    seen_NT = used_NT & (soft.amax((2, 3)) > 0)  # a class of which nothing is seen has no seeds either
    initial, seeds = ((mask & seen_NT[..., None, None]) for mask in (initial, seeds))
    spread = soft if between is None else propagated(soft, between, grouper.grid(*size), spec.propagate)
    refined = _refined(spread, seeds, images_N3HW, spec) & seen_NT[..., None, None]
    found = ((initial, False), (refined, False), (soft, 0.0), (mask_agreement(initial, seeds), torch.nan))
    return PseudoLabels(*(_spread(values, slots_NT, used_NT, len(prompts), fill) for values, fill in found))


def tag_slots(tags_NC: Tensor) -> tuple[Tensor, Tensor]:
    """Each image's tagged classes first: class indices int64 and their validity bool, ``(N, T)`` with T >= 1."""
    n_slots = max(1, int(tags_NC.sum(1).max())) if len(tags_NC) else 1
    slots = tags_NC.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :n_slots]
    return slots, tags_NC.gather(1, slots)


def _pick(values_NC: Tensor, slots_NT: Tensor) -> Tensor:
    """``(N, C, ...)`` -> ``(N, T, ...)``."""
    return values_NC[torch.arange(len(slots_NT), device=slots_NT.device)[:, None], slots_NT]


def _spread(values_NT: Tensor, slots_NT: Tensor, used_NT: Tensor, n_classes: int, fill: float) -> Tensor:
    """``(N, T, ...)`` -> ``(N, C, ...)`` with ``fill`` where a class is not tagged."""
    out = torch.full((len(values_NT), n_classes, *values_NT.shape[2:]), fill, dtype=values_NT.dtype).to(
        values_NT.device
    )
    row, slot = used_NT.nonzero(as_tuple=True)
    out[row, slots_NT[row, slot]] = values_NT[row, slot]
    return out


def normalised_scores(scores_NChw: Tensor, tags_NC: Tensor) -> Tensor:
    """Min-max per image and class to [0, 1]; zero where the class is not tagged."""
    low = scores_NChw.amin((2, 3), keepdim=True)
    high = scores_NChw.amax((2, 3), keepdim=True)
    return (scores_NChw - low) / (high - low).clamp(min=1e-8) * tags_NC[..., None, None]


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


def mask_agreement(first_NCHW: Tensor, second_NCHW: Tensor) -> Tensor:
    """IoU of two bool masks per class, NaN where both are empty; float32 ``(N, C)``."""
    both = (first_NCHW & second_NCHW).sum((2, 3)).float()
    either = (first_NCHW | second_NCHW).sum((2, 3)).float()
    return both / either.where(either > 0, torch.nan)


def _group(
    images_N3HW: Tensor, points_NTS2: Tensor, grouper: Grouper, everywhere: bool
) -> tuple[Tensor, Tensor | None]:
    """One pass of the grouper.

    Returns mean affinity to each class's seeds ``(N, T, h, w)``, and that of every cell to every
    other ``(N, hw, hw)`` if it is asked for.
    """
    n, n_slots, n_seeds, _ = points_NTS2.shape
    h, w = grouper.grid(*images_N3HW.shape[-2:])
    seeds = points_NTS2.flatten(1, 2)
    if everywhere:
        rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        centres = torch.stack([(columns + 0.5) / w, (rows + 0.5) / h], -1).flatten(0, 1).to(seeds)
        seeds = torch.cat([seeds, centres.expand(n, -1, -1)], 1)
    maps = grouper.affinity(images_N3HW, seeds)
    of_seeds = maps[:, : n_slots * n_seeds].unflatten(1, (n_slots, n_seeds)).mean(2)
    return of_seeds, maps[:, n_slots * n_seeds :].flatten(2) if everywhere else None


def propagated(soft_NChw: Tensor, between_Npp: Tensor, grid: tuple[int, int], rounds: int) -> Tensor:
    """Scores spread along the grouper's affinity: each cell takes the mean of all, ``rounds`` times.

    Args:
        between_Npp: each cell's affinity to all cells of the grouper's grid, rows sum to 1.

    Returns:
        float32 ``(N, C, *grid)``, min-max per image and class to [0, 1].
    """
    scores = F.interpolate(soft_NChw, grid, mode="bilinear", align_corners=False).flatten(2)
    for _ in range(rounds):
        scores = scores @ between_Npp.transpose(1, 2)
    return normalised_scores(scores.unflatten(2, grid), torch.ones_like(scores[..., 0], dtype=torch.bool))


def _refined(soft: Tensor, seeds: Tensor, images: Tensor, spec: CosegmentSpec) -> Tensor:
    """Fit the scores to the image and fuse, or fuse and fit the mask to the image."""
    large = F.interpolate(soft, images.shape[-2:], mode="bilinear", align_corners=False)
    if spec.refine_what == "scores":
        return _fuse(fit_to_image(large, images, spec) > spec.refined_level, seeds, spec.fusion)
    fused = _fuse(large > spec.refined_level, seeds, spec.fusion)
    return fused if spec.refine == "none" else fit_to_image(fused.float(), images, spec) > 0.5


def _fuse(scored: Tensor, seeds: Tensor, fusion: str) -> Tensor:
    if fusion == "union":
        return scored | seeds
    if fusion == "intersection":
        return scored & seeds
    return scored if fusion == "scores" else seeds
