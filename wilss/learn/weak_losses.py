"""The equations of WILSON's step (Cermelli et al., CVPR 2022, as in its released code).

Shape suffixes: N images, K = O + C outputs (background, old and new classes), C new classes, h and w feature cells.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pooled_scores(logits_NKhw: Tensor, epsilon: float = 1.0, focus: float = 3.0, floor: float = 0.01) -> Tensor:
    """Image-level score of every output: normalised global weighted pooling plus the focal penalty.

    s_c = sum_i m_ic z_ic / (epsilon + sum_i m_ic) + (1 - mean_i m_ic)^focus * log(floor + mean_i m_ic) with m the
    softmax of z over the outputs. float32 ``(N, K)``.
    """
    logits = logits_NKhw.float().flatten(2)
    masks = logits.softmax(1)
    pooled = (masks * logits).sum(2) / (epsilon + masks.sum(2))
    size = masks.mean(2)
    return pooled + (1 - size).pow(focus) * torch.log(floor + size)


def classification_loss(scores_NK: Tensor, tags_NC: Tensor) -> Tensor:
    """L_CLS: BCE of the new classes' scores against the image-level labels, mean over images and new classes."""
    new = scores_NK[:, -tags_NC.shape[1] :]
    return F.binary_cross_entropy_with_logits(new, tags_NC.float())


def allowed_outputs(tags_NC: Tensor, n_old: int) -> Tensor:
    """Outputs that pseudo-labels may hold: background and the tagged new classes; bool ``(N, K)``."""
    old = torch.zeros(len(tags_NC), n_old, dtype=torch.bool, device=tags_NC.device)
    old[:, 0] = True
    return torch.cat([old, tags_NC.bool()], 1)


def confident_masks(masks_NKhw: Tensor, allowed_NK: Tensor, cutoff: float, background_cutoff: float) -> Tensor:
    """Pixels that surely belong to one allowed output; bool ``(N, K, h, w)``.

    A pixel is kept for c when its (refined) probability exceeds max(0.2, cutoff * the image's highest of c); pixels
    that two outputs keep belong to none.
    """
    masks = masks_NKhw * allowed_NK[..., None, None]
    share = torch.full((masks.shape[1],), cutoff, device=masks.device)
    share[0] = background_cutoff
    bound = (masks.amax((2, 3)) * share).clamp(min=0.2)
    kept = masks > bound[..., None, None]
    return kept & (kept.sum(1, keepdim=True) == 1)


def self_supervision_loss(logits_NKhw: Tensor, target_NKhw: Tensor, allowed_NK: Tensor) -> Tensor:
    """L_SSS: cross-entropy of the localizer against its own confident masks.

    Each labelled pixel of class c weighs (T - T_c) / (1 + T), T the labelled pixels of the image and T_c those of c;
    averaged over all pixels and images. An image counts only when every allowed output has a pixel.
    """
    target = target_NKhw.float()
    per_class = target.sum((2, 3))
    total = per_class.sum(1, keepdim=True)
    weight = (total - per_class) / (1 + total)
    log_p = logits_NKhw.float().log_softmax(1)
    loss = -(target * weight[..., None, None] * log_p).sum(1).mean((1, 2))
    complete = ((per_class > 0) | ~allowed_NK).all(1)
    return (loss * complete).mean()


def localizer_mix(masks_NKhw: Tensor, allowed_NK: Tensor, alpha: float, soft_untagged: bool = False) -> Tensor:
    """Q = alpha * onehot(argmax of the allowed outputs) + (1 - alpha) * m; float32 ``(N, K, h, w)``, no gradient.

    Args:
        masks_NKhw: softmax of the localizer.
        soft_untagged: whether outputs that are not allowed keep their soft part; the argmax never sees them.
    """
    masks = masks_NKhw.detach().float()
    possible = masks * allowed_NK[..., None, None]
    hard = F.one_hot(possible.argmax(1), masks.shape[1]).permute(0, 3, 1, 2)
    return alpha * hard + (1 - alpha) * (masks if soft_untagged else possible)
