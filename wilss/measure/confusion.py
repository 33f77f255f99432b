"""Confusion matrix by bincount, and IoU read off it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.data.augment import normalise
from wilss.data.images import MaskedImages
from wilss.data.source import VOID
from wilss.nets.pretrained import Weights
from wilss.nets.segmenter import Segmenter
from wilss.precision import autocast


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


@dataclass(frozen=True)
class Metrics:
    """Means in convention C: old and new without background, all with it. NaN where there is no such class."""

    old: float
    new: float
    all: float


def metrics(per_class: Tensor, n_old: int) -> Metrics:
    """Convention C of the published tables (WILSON, FMWISS).

    Args:
        per_class: IoU of background and all classes.
        n_old: number of old classes, background not counted; all of them at step 0.
    """
    return Metrics(
        old=float(per_class[1 : 1 + n_old].nanmean()),
        new=float(per_class[1 + n_old :].nanmean()) if len(per_class) > 1 + n_old else float("nan"),
        all=float(per_class.nanmean()),
    )


@torch.inference_mode()
def evaluate(
    model: Segmenter,
    data: MaskedImages,
    weights: Weights,
    batch_size: int = 16,
    progress: Callable[[str, int, int, float], None] | None = None,
) -> Tensor:
    """Confusion matrix on full-size images: logits are enlarged to each mask's own size.

    Images of equal canvas size share a batch; nothing is padded, so that the pooled context sees only the image.
    """
    n_outputs = 1 + sum(model.step_sizes)
    device = next(model.parameters()).device
    table = torch.tensor(data.channels, dtype=torch.uint8)
    total = torch.zeros(n_outputs, n_outputs, dtype=torch.int64)
    groups: dict[tuple[int, ...], list[int]] = {}
    for position in range(len(data)):
        groups.setdefault(tuple(data.images.image(position).shape), []).append(position)
    done = 0
    for members in groups.values():
        for start in range(0, len(members), batch_size):
            batch = members[start : start + batch_size]
            images = torch.stack([data.images.image(p) for p in batch]).float() / 255
            with autocast("auto", device):
                logits = model(normalise(images, weights.mean, weights.std).to(device)).float()
            for row, position in enumerate(batch):
                truth = table[data.images.source.mask(data.images.ids[position]).long()]
                large = F.interpolate(logits[row : row + 1], truth.shape, mode="bilinear", align_corners=False)
                total += confusion(truth, large.argmax(1)[0].cpu(), n_outputs)
            done += len(batch)
            if progress:
                progress("evaluate", done, len(data), 0.0)
    return total


def mask_iou(predicted_NCHW: Tensor, truth_NHW: Tensor, channels: tuple[int, ...]) -> Tensor:
    """Hits and unions of binary masks against label maps: int64 ``(C, 2)``, void pixels left out.

    Args:
        channels: output channel (value in ``truth``) of each mask layer.
    """
    keep = (truth_NHW != VOID)[:, None]
    truth = truth_NHW[:, None] == torch.tensor(channels).view(1, -1, 1, 1)
    predicted = predicted_NCHW.bool() & keep
    hits = (predicted & truth).sum((0, 2, 3))
    union = ((predicted | truth) & keep).sum((0, 2, 3))
    return torch.stack([hits, union], 1)
