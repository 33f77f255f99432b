"""How good masks look without truth: one row of numbers for each (docs/architecture.md, "Label sets")."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

TEMPERATURE = 0.1
MARGIN = 0.1
"""A score within it of the threshold is uncertain."""
SIDES = np.ones((3, 3), dtype=bool)


def mask_quality(
    masks_RHW: Tensor,
    agreement_R: Tensor,
    scores_Rhw: Tensor | None = None,
    threshold: float = 0.5,
    first_RHW: Tensor | None = None,
    *,
    learnt: bool = False,
    wins_R: Tensor | None = None,
    apart_R: Tensor | None = None,
) -> NDArray[np.float32]:
    """The `wilss.measure.columns.COLUMNS` of masks, float32 ``(R, 9)``, NaN for what is not known.

    agreement: IoU of the two sources of the mask. unchanged: IoU with what it was before it was refined. softmin: see
    `softmin`. uncertain: share of the scores within `MARGIN` of the threshold. area: share of the image. fragments:
    connected parts, corners joined. border: share of the image's outermost pixels that the mask has.
    wins, apart: see `wilss.foundation.cosegment.PseudoLabels`.

    Args:
        masks_RHW: bool, over the image alone. scores_Rhw: float in [0, 1] that the masks come from, on any grid over
            the image. first_RHW: bool, the masks before they were refined.
        learnt: the model behind the scores has learnt from masks of these images, so that what it says of them is no
            second opinion.
    """
    masks = masks_RHW.bool()
    unknown = torch.full((len(masks),), torch.nan)
    smooth = unknown if scores_Rhw is None or learnt else softmin(masks, scores_Rhw)
    kept = unknown if first_RHW is None else row_iou(masks, first_RHW.bool()).nan_to_num(0.0)  # empty from the start
    near = unknown if scores_Rhw is None else ((scores_Rhw.float() - threshold).abs() < MARGIN).float().mean((1, 2))
    parts = torch.tensor([ndimage.label(mask, SIDES)[1] for mask in masks.cpu().numpy()], dtype=torch.float32)
    seen = [unknown if values is None else values for values in (wins_R, apart_R)]
    columns = [agreement_R, kept, smooth, near, masks.float().mean((1, 2)), parts, _on_border(masks), *seen]
    return torch.stack([column.float().cpu() for column in columns], 1).numpy()


def softmin(masks_RHW: Tensor, scores_Rhw: Tensor) -> Tensor:
    """Softmin of the probability that the scores give to the label of each cell (Lad and Mueller 2023), ``(R,)``.

    Low where a part of the label is contradicted, however small: sum p softmax((1 - p) / T) over the cells.
    """
    inside = F.adaptive_avg_pool2d(masks_RHW[:, None].float(), (scores_Rhw.shape[1], scores_Rhw.shape[2]))[:, 0]
    scores = scores_Rhw.float().clamp(0, 1)
    given = (inside * scores + (1 - inside) * (1 - scores)).flatten(1)
    return (given * ((1 - given) / TEMPERATURE).softmax(1)).sum(1)


def row_iou(first_RHW: Tensor, second_RHW: Tensor) -> Tensor:
    """IoU of two bool masks row by row, float32 ``(R,)``; NaN where both are empty."""
    both = (first_RHW & second_RHW).sum((1, 2)).float()
    either = (first_RHW | second_RHW).sum((1, 2)).float()
    return both / either.where(either > 0, torch.nan)


def _on_border(masks: Tensor) -> Tensor:
    lines = torch.cat([masks[:, 0], masks[:, -1], masks[:, 1:-1, 0], masks[:, 1:-1, -1]], 1)
    return lines.float().mean(1)
