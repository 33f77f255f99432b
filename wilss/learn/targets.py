"""Label maps and layers reduced to feature cells: each cell holds the share of its pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.data.source import VOID


def class_shares(labels_NHW: Tensor, n_outputs: int, size: tuple[int, int] | torch.Size) -> tuple[Tensor, Tensor]:
    """Share of every output channel among a cell's labelled pixels.

    Args:
        labels_NHW: integer output channels, 255 void.

    Returns:
        shares float32 ``(N, n_outputs, h, w)`` in [0, 1] and the labelled share of each cell ``(N, h, w)``.
    """
    labels = labels_NHW.long()
    labelled = (labels != VOID).float()[:, None]
    one_hot = torch.zeros(len(labels), n_outputs, *labels.shape[1:], device=labels.device)
    one_hot.scatter_(1, labels.clamp(max=n_outputs - 1)[:, None], labelled)
    shares, valid = layer_shares(one_hot, size), layer_shares(labelled, size)
    return shares / valid.clamp(min=1e-6), valid[:, 0]


def layer_shares(layers_NCHW: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Mean of each layer over the pixels of every cell; float32 ``(N, C, h, w)``."""
    return F.adaptive_avg_pool2d(layers_NCHW.float(), (size[0], size[1]))


def sure_cells(shares_NChw: Tensor, unsure: float) -> Tensor | None:
    """Cells that a mask covers to at most the share ``unsure``, or all but that; None where ``unsure`` is 0: all are.

    Returns:
        float32 ``(N, C, h, w)``, 1 or 0.
    """
    if unsure == 0:
        return None
    return ((shares_NChw <= unsure) | (shares_NChw >= 1 - unsure)).float()
