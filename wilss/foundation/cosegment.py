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
from wilss.foundation.contracts import Grouper, Prompts, Scorer, scores_among
from wilss.foundation.refine import fit_to_image
from wilss.foundation.seeds import choose_seeds
from wilss.foundation.spec import CosegmentSpec


@dataclass(frozen=True)
class PseudoLabels:
    """Masks of a batch; channels of absent classes are empty, a pixel may belong to two classes.

    initial, refined: bool ``(N, C, H, W)``. soft: float32 ``(N, C, h, w)`` in [0, 1], the normalised score.
    agreement: float32 ``(N, C)``, IoU of the scorer's and the grouper's mask, NaN for absent classes.
    wins: share of the refined mask in which the class beats every other word of the ontology at the scorer, float32
    ``(N, C)``; NaN where there is no other word. apart: see `apartness`; NaN where scores are not spread.
    """

    initial: Tensor
    refined: Tensor
    soft: Tensor
    agreement: Tensor
    wins: Tensor
    apart: Tensor


@dataclass(frozen=True)
class Looked:
    """What scorer and grouper say of the tags of a batch, before any second mask is made.

    slots, used: see `tag_slots`. soft: float32 ``(N, T, h, w)`` in [0, 1]. ahead: bool of the same shape, where a class
    beats every other word; None for a single word. points: seeds, float32 ``(N, T, S, 2)`` as
    (x, y) in [0, 1). affinity: mean over a class's seeds, float32 ``(N, T, h, w)`` on the grouper's grid. between:
    every cell's to every other ``(N, hw, hw)``, where the recipe spreads scores along it.
    """

    slots: Tensor
    used: Tensor
    soft: Tensor
    ahead: Tensor | None
    points: Tensor
    affinity: Tensor
    between: Tensor | None


@torch.inference_mode()
def look(
    images_N3HW: Tensor,
    tags_NC: Tensor,
    prompts: Prompts,
    others: Prompts,
    scorer: Scorer,
    grouper: Grouper,
    spec: CosegmentSpec,
    noise_NCS: Tensor,
) -> Looked:
    """What `cosegment` makes masks of. Takes what it takes, and raises as it does."""
    if not prompts:
        raise SpecError("the ontology is empty: there is no class to label; give at least one class with a prompt")
    if tags_NC.shape != (len(images_N3HW), len(prompts)):
        raise ValueError(f"tags have shape {tuple(tags_NC.shape)}; expected ({len(images_N3HW)}, {len(prompts)})")
    tags_NC = tags_NC.to(images_N3HW.device)
    slots_NT, used_NT = tag_slots(tags_NC)
    allowed = F.pad(tags_NC, (0, len(others)), value=True)
    scores = scores_among(scorer, images_N3HW, [*prompts, *others], allowed)
    soft = normalised_scores(_pick(scores, slots_NT), used_NT)
    points = choose_seeds(soft, _pick(noise_NCS.to(soft.device), slots_NT), spec)
    affinity, between = _group(images_N3HW, points, grouper, spec.propagate > 0)
    return Looked(slots_NT, used_NT, soft, _ahead(scores, slots_NT), points, affinity, between)


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
    size = images_N3HW.shape[-2:]
    looked = look(images_N3HW, tags_NC, prompts, others, scorer, grouper, spec, noise_NCS)
    soft, used_NT, affinity, between = looked.soft, looked.used, looked.affinity, looked.between
    initial = F.interpolate(soft, size, mode="bilinear", align_corners=False) > spec.threshold
    kept = (affinity >= mass_level(affinity, spec.keep, spec.keep_by)).float()
    seeds = F.interpolate(kept, size, mode="bilinear", align_corners=False) >= 0.5
    seen_NT = used_NT & (soft.amax((2, 3)) > 0)  # a class of which nothing is seen has no seeds either
    initial, seeds = ((mask & seen_NT[..., None, None]) for mask in (initial, seeds))
    spread = soft if between is None else propagated(soft, between, grouper.grid(*size), spec.propagate)
    refined = _refined(spread, seeds, images_N3HW, spec) & seen_NT[..., None, None]
    numbers = (mask_agreement(initial, seeds), _wins(refined, looked.ahead), _apart(refined, between, grouper))
    found = ((initial, False), (refined, False), (soft, 0.0), *((values, torch.nan) for values in numbers))
    return PseudoLabels(*(_spread(values, looked.slots, used_NT, len(prompts), fill) for values, fill in found))


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


def mass_share(affinity_hw: Tensor) -> Tensor:
    """How much of the mass lies in cells that are not higher: 1 in the highest cell, float32 ``(h, w)`` in [0, 1].

    Cells of at least ``1 - keep`` are those that `mass_level` keeps by "mass".
    """
    flat = affinity_hw.flatten()
    ordered, order = flat.sort(descending=True, stable=True)
    share = torch.empty_like(flat)
    share[order] = 1 - (ordered.cumsum(0) - ordered) / ordered.sum().clamp(min=1e-12)
    return share.clamp(0, 1).unflatten(0, tuple(affinity_hw.shape))


def mask_agreement(first_NCHW: Tensor, second_NCHW: Tensor) -> Tensor:
    """IoU of two bool masks per class, NaN where both are empty; float32 ``(N, C)``."""
    both = (first_NCHW & second_NCHW).sum((2, 3)).float()
    either = (first_NCHW | second_NCHW).sum((2, 3)).float()
    return both / either.where(either > 0, torch.nan)


def _ahead(scores_NWhw: Tensor, slots_NT: Tensor) -> Tensor | None:
    """Where each slot's class scores higher than every other word, bool ``(N, T, h, w)``; None for a single word."""
    if scores_NWhw.shape[1] < 2:
        return None
    best, of = scores_NWhw.topk(2, dim=1)
    others = torch.where(of[:, :1] == slots_NT[..., None, None], best[:, 1:], best[:, :1])
    return _pick(scores_NWhw, slots_NT) > others


def _wins(masks_NTHW: Tensor, ahead_NThw: Tensor | None) -> Tensor:
    """Share of each mask that lies where its class is ahead, float32 ``(N, T)``; 0 for an empty mask."""
    if ahead_NThw is None:
        return torch.full(masks_NTHW.shape[:2], torch.nan, device=masks_NTHW.device)
    inside = F.adaptive_avg_pool2d(masks_NTHW.float(), (ahead_NThw.shape[2], ahead_NThw.shape[3]))
    return (inside * ahead_NThw).sum((2, 3)) / inside.sum((2, 3)).clamp(min=1e-6)


def _apart(masks_NTHW: Tensor, between_Npp: Tensor | None, grouper: Grouper) -> Tensor:
    if between_Npp is None:
        return torch.full(masks_NTHW.shape[:2], torch.nan, device=masks_NTHW.device)
    inside = F.adaptive_avg_pool2d(masks_NTHW.float(), grouper.grid(*masks_NTHW.shape[-2:]))
    return apartness(inside.flatten(2), between_Npp)


def apartness(inside_NTp: Tensor, between_Npp: Tensor) -> Tensor:
    """How much more of its affinity a cell of the mask gives to the mask than a cell outside does, float32 ``(N, T)``.

    1 for a mask that the grouper takes for a thing of its own, 0 for one that it does not see, or that is empty.

    Args:
        inside_NTp: share of each cell that the mask covers. between_Npp: see `propagated`.
    """
    given = inside_NTp @ between_Npp.transpose(1, 2)
    outside = 1 - inside_NTp
    of_mask = (given * inside_NTp).sum(2) / inside_NTp.sum(2).clamp(min=1e-6)
    return of_mask - (given * outside).sum(2) / outside.sum(2).clamp(min=1e-6)


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
