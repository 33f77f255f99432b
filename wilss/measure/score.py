"""Confusion matrices of a student: on full-size images, and on centre crops as WILSON's code scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.data.images import MaskedImages, same_size_batches
from wilss.measure.confusion import confusion
from wilss.nets.segmenter import Segmenter
from wilss.precision import autocast
from wilss.progress import Progress

BATCH = 16
"""Images that go through the network together."""


def score_images(
    model: Segmenter, data: MaskedImages, batch_size: int = BATCH, progress: Progress | None = None
) -> Tensor:
    """Confusion matrix on full-size images: logits are enlarged to each mask's own size.

    Images of equal canvas size share a batch; nothing is padded, so that the pooled context sees only the image.
    """
    return score_batches(model, data, same_size_batches(data.images, range(len(data)), batch_size), progress)


@torch.inference_mode()
def score_batches(
    model: Segmenter, data: MaskedImages, batches: Iterable[Sequence[int]], progress: Progress | None = None
) -> Tensor:
    """The same of batches of positions, each of one canvas size, int64 ``(1 + C, 1 + C)``; parts of data add up."""
    n_outputs = 1 + sum(model.step_sizes)
    total = torch.zeros(n_outputs, n_outputs, dtype=torch.int64)
    done = 0
    for batch in batches:
        data.bring(batch)
        logits = _logits(model, torch.stack([data.images.image(p) for p in batch]))
        for row, position in enumerate(batch):
            truth = data.full_mask(position)
            large = F.interpolate(logits[row : row + 1], truth.shape, mode="bilinear", align_corners=False)
            total += confusion(truth, large.argmax(1)[0].cpu(), n_outputs)
        done += len(batch)
        if progress:
            progress("evaluate", done, len(data), 0.0)
    return total


@torch.inference_mode()
def score_crops(
    model: Segmenter,
    data: MaskedImages,
    side: int,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> Tensor:
    """Confusion matrix on centre crops, as WILSON's code scores with side 512.

    The shorter side of image and mask is resized to ``side`` (masks nearest), then the central square is cut out.
    """
    n_outputs = 1 + sum(model.step_sizes)
    total = torch.zeros(n_outputs, n_outputs, dtype=torch.int64)
    for start in range(0, len(data), batch_size):
        positions = range(start, min(start + batch_size, len(data)))
        pairs = [(data.images.original(p), data.full_mask(p)) for p in positions]
        images = torch.stack([centre_crop(image, side) for image, _ in pairs])
        truth = torch.stack([centre_crop(mask[None], side, nearest=True)[0] for _, mask in pairs])
        large = F.interpolate(_logits(model, images), (side, side), mode="bilinear", align_corners=False)
        total += confusion(truth, large.argmax(1).cpu(), n_outputs)
        if progress:
            progress("evaluate crops", positions[-1] + 1, len(data), 0.0)
    return total


def centre_crop(image: Tensor, side: int, nearest: bool = False) -> Tensor:
    """uint8 ``(C, H, W)`` -> uint8 ``(C, side, side)``: shorter side resized to ``side``, then the centre."""
    height, width = image.shape[-2:]
    factor = side / min(height, width)
    size = (max(side, int(height * factor)), max(side, int(width * factor)))
    if nearest:
        resized = F.interpolate(image[None].float(), size, mode="nearest-exact")[0]
    else:
        resized = F.interpolate(image[None].float(), size, mode="bilinear", antialias=True)[0].round().clamp(0, 255)
    top, left = round((size[0] - side) / 2), round((size[1] - side) / 2)
    return resized[:, top : top + side, left : left + side].to(torch.uint8)


def _logits(model: Segmenter, images_N3HW: Tensor) -> Tensor:
    device = next(model.parameters()).device
    images = images_N3HW.to(device).float() / 255
    with autocast("auto", device):
        return model(images).float()
