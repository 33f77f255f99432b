"""The equations of the base step and of FMWISS.

Shape suffixes: N images, C new classes, O background + old classes, K = O + C all outputs, h and w feature cells,
D embedding width, P sampled points. All losses are float32 scalars.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.device import to_device
from wilss.parallel.ranks import here


def base_loss(logits_NKhw: Tensor, target_NKhw: Tensor, valid_Nhw: Tensor | None = None) -> Tensor:
    """Binary cross-entropy summed over classes, averaged over pixels (WILSON's base step).

    Args:
        target_NKhw: in [0, 1]; a soft target is the share of a cell's pixels that belong to the class.
        valid_Nhw: weight of each cell in [0, 1]; None counts all alike.
    """
    loss = F.binary_cross_entropy_with_logits(logits_NKhw.float(), target_NKhw.float(), reduction="none").sum(1)
    return _weighted_mean(loss, valid_Nhw)


def new_class_loss(teacher_NChw: Tensor, masks_NChw: Tensor, valid_NChw: Tensor | None = None) -> Tensor:
    """FMWISS L_new: pixel-wise BCE of the teacher's new-class logits against the refined masks.

    Mean over new classes and pixels (recalled; see docs/fidelity.md).

    Args:
        valid_NChw: weight of each class in each cell, in [0, 1]; None counts all alike.
    """
    loss = F.binary_cross_entropy_with_logits(teacher_NChw.float(), masks_NChw.float(), reduction="none")
    return loss.mean(1).mean() if valid_NChw is None else _weighted_mean(loss, valid_NChw)


def distillation_loss(logits_NOhw: Tensor, old_probability_NOhw: Tensor) -> Tensor:
    """FMWISS L_old = WILSON L_LOC: BCE against the sigmoid of the frozen old model; mean over pixels and outputs."""
    return F.binary_cross_entropy_with_logits(logits_NOhw.float(), old_probability_NOhw.float())


def encoder_loss(features: Tensor, old_features: Tensor) -> Tensor:
    """WILSON L_ENC: mean squared difference of the backbone features to those of the old model."""
    return F.mse_loss(features.float(), old_features.float())


def dense_contrastive_loss(
    embedding_NDhw: Tensor,
    masks_NChw: Tensor,
    n_points: int,
    temperature: float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """FMWISS L_DCL: sampled pixels of one class attract each other and repel pixels outside its mask.

    For every class that the mini-batch contains, ``n_points`` positive and ``n_points`` negative cells are drawn over
    the whole batch (with the cells of its pseudo-mask as P and all others as N), embeddings are L2-normalised, and

        mean over anchors i, over positives j != i of -log(e_ij / (e_ij + sum over negatives n of e_in)),
        e_ab = exp(v_a . v_b / temperature).

    Where several processes share a batch, each takes all of it, so that pairs of cells on two of them count.

    Returns zero (with a graph) when no class has two positive cells and one negative.
    """
    embedding_NDhw, masks_NChw = here().gathered(embedding_NDhw.float()), here().gathered(masks_NChw)
    flat_DM = F.normalize(embedding_NDhw, dim=1).transpose(0, 1).flatten(1)
    member_CM = (masks_NChw > 0.5).transpose(0, 1).flatten(1)
    positives, negatives = _sample(member_CM, n_points, generator), _sample(~member_CM, n_points, generator)
    usable = (member_CM.sum(1) >= 2) & ((~member_CM).sum(1) >= 1)
    inside = flat_DM[:, positives.index].permute(1, 2, 0)  # (C, P, D)
    outside = flat_DM[:, negatives.index].permute(1, 2, 0)
    with torch.autocast(flat_DM.device.type, enabled=False):  # a cosine in bf16 is too coarse to be divided by it
        attract = inside @ inside.transpose(1, 2) / temperature
        repel = (inside @ outside.transpose(1, 2) / temperature).masked_fill(~negatives.valid[:, None], -torch.inf)
    against = torch.logsumexp(repel, -1, keepdim=True)
    loss_CPP = torch.logaddexp(attract, against) - attract
    itself = torch.eye(n_points, dtype=torch.bool, device=flat_DM.device)
    pair = positives.valid[:, :, None] & positives.valid[:, None, :] & ~itself
    pair = pair & usable[:, None, None]
    per_class = loss_CPP.masked_fill(~pair, 0).sum((1, 2)) / pair.sum((1, 2)).clamp(min=1)
    return per_class.sum() / usable.sum().clamp(min=1)


class _Sample:
    """Drawn positions ``index`` int64 ``(C, P)``; ``valid`` is False where a class has fewer than P members."""

    def __init__(self, index: Tensor, valid: Tensor) -> None:
        self.index = index
        self.valid = valid


def _sample(member_CM: Tensor, n_points: int, generator: torch.Generator | None) -> _Sample:
    """Draw up to ``n_points`` distinct members of every row."""
    noise = to_device(torch.rand(member_CM.shape, generator=generator), member_CM.device)  # the generator is the CPU's
    score = noise.masked_fill(~member_CM, -1.0)
    if score.shape[1] < n_points:
        score = F.pad(score, (0, n_points - score.shape[1]), value=-1.0)
    top = score.topk(n_points, dim=1)
    return _Sample(top.indices.clamp(max=member_CM.shape[1] - 1), top.values >= 0)


def soft_hard_mix(teacher_NKhw: Tensor, alpha: float, allowed_NK: Tensor | None = None) -> Tensor:
    """Q = alpha * onehot(argmax over outputs) + (1 - alpha) * sigmoid (FMWISS sec. 3.4, recalled).

    Args:
        teacher_NKhw: teacher logits over background, old and new classes.
        allowed_NK: bool; outputs that may win the argmax and keep their soft part, others give 0. None allows all.

    Returns:
        float32 ``(N, K, h, w)`` in [0, 1], without gradient.
    """
    probability = teacher_NKhw.detach().float().sigmoid()
    if allowed_NK is not None:
        probability = probability * allowed_NK[..., None, None]
    hard = F.one_hot(probability.argmax(1), probability.shape[1]).permute(0, 3, 1, 2)
    if allowed_NK is not None:
        hard = hard * allowed_NK[..., None, None]
    return alpha * hard + (1 - alpha) * probability


def student_target(
    mix_NKhw: Tensor, old_probability_NOhw: Tensor, background_of: Literal["both", "old"] = "both"
) -> Tensor:
    """Target of the student (WILSON sec. 2.3c, FMWISS sec. 3.4): float32 ``(N, K, h, w)`` in [0, 1].

    Old classes: the old model; new classes: the mix.

    Args:
        background_of: background is the minimum of the old model's and the mix's ("both"), or the old model's where no
            new class is: min(old background, 1 - strongest new class) ("old").
    """
    n_old = old_probability_NOhw.shape[1]
    old, new = old_probability_NOhw.detach().float(), mix_NKhw[:, n_old:]
    free = mix_NKhw[:, :1] if background_of == "both" else 1 - new.amax(1, keepdim=True)
    return torch.cat([torch.minimum(old[:, :1], free), old[:, 1:], new], 1)


def student_loss(logits_NKhw: Tensor, target_NKhw: Tensor) -> Tensor:
    """BCE summed over all seen classes, averaged over pixels."""
    return base_loss(logits_NKhw, target_NKhw)


def _weighted_mean(loss: Tensor, weight: Tensor | None) -> Tensor:
    """Of two tensors of one shape."""
    if weight is None:
        return loss.mean()
    return (loss * weight).sum() / here().evened(weight.sum(), 1e-6)
