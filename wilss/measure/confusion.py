"""Confusion matrix by bincount, and IoU read off it."""

from __future__ import annotations

import torch
from torch import Tensor

from wilss.data.source import VOID


def confusion(truth: Tensor, prediction: Tensor, n_outputs: int) -> Tensor:
    """Pixel counts int64 ``(n_outputs, n_outputs)``, rows truth, columns prediction; pixels of truth 255 are left out.

    Raises ValueError for shapes that differ or labels outside the outputs.
    """
    if truth.shape != prediction.shape:
        raise ValueError(
            f"truth has shape {tuple(truth.shape)}, prediction {tuple(prediction.shape)}; resize one of them"
        )
    keep = truth != VOID
    rows, columns = truth[keep].long(), prediction[keep].long()
    highest = max(int(rows.max()), int(columns.max())) if len(rows) else 0
    if highest >= n_outputs:
        raise ValueError(
            f"label {highest} found, but there are {n_outputs} outputs (0 to {n_outputs - 1}, 255 is void)"
        )
    return torch.bincount(rows * n_outputs + columns, minlength=n_outputs**2).view(n_outputs, n_outputs)


def iou(matrix: Tensor) -> Tensor:
    """Intersection over union of every output, float64; NaN for a class that the truth does not contain."""
    counts = matrix.double()
    truth, hits = counts.sum(1), counts.diagonal()
    union = truth + counts.sum(0) - hits
    return (hits / union).where(truth > 0, torch.nan)


def mask_iou(
    predicted_NCHW: Tensor, truth_NHW: Tensor, channels: tuple[int, ...], counted_NC: Tensor | None = None
) -> Tensor:
    """Hits and unions of binary masks against label maps: int64 ``(C, 2)``, void pixels left out.

    Args:
        channels: output channel (value in ``truth``) of each mask layer.
        counted_NC: bool, masks that are compared at all; None for every one.
    """
    keep = (truth_NHW != VOID)[:, None]
    if counted_NC is not None:
        keep = keep & counted_NC[..., None, None]
    truth = truth_NHW[:, None] == torch.tensor(channels).view(1, -1, 1, 1)
    hits = (predicted_NCHW.bool() & truth & keep).sum((0, 2, 3))
    union = ((predicted_NCHW.bool() | truth) & keep).sum((0, 2, 3))
    return torch.stack([hits, union], 1)


def mask_ratio(counts_C2: Tensor) -> Tensor:
    """IoU of hits and unions, float32 ``(C,)``; NaN where there is nothing to compare."""
    return counts_C2[:, 0] / counts_C2[:, 1]
