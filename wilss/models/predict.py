"""What a student sees in an image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.data.images import to_canvas
from wilss.models.card import StudentCard
from wilss.nets.segmenter import Segmenter

LARGE = 16_000_000
"""Pixels of an image above which logits are enlarged window by window."""
BAND = 256
"""Rows of such a window."""


@torch.inference_mode()
def predict_image(model: Segmenter, card: StudentCard, image_3HW: Tensor) -> Tensor:
    """Class ids uint8 ``(H, W)`` of one uint8 image, at its own size; on the CPU."""
    small = to_canvas(image_3HW, card.input.canvas)
    height, width = image_3HW.shape[1:]
    return labels_of(logits_of(model, small[None]), (height, width), card)


@torch.inference_mode()
def logits_of(model: Segmenter, images_N3hw: Tensor) -> Tensor:
    """Logits float32 ``(N, 1 + C, h', w')`` of uint8 images of one size, at most the canvas; on the model's device."""
    device = next(model.parameters()).device
    return model(images_N3hw.to(device).float() / 255).float()


@torch.inference_mode()
def labels_of(logits_1Ohw: Tensor, size: tuple[int, int], card: StudentCard) -> Tensor:
    """Class ids uint8 ``(H, W)`` of one image's logits, enlarged to its own height and width; on the CPU."""
    height, width = size
    large = height * width > LARGE
    found = _highest_by_bands(logits_1Ohw, height, width) if large else _highest(logits_1Ohw, size)
    ids = torch.tensor([0, *card.class_ids], dtype=torch.uint8)
    for top in range(0, height, BAND):  # indices take 8 bytes a pixel
        found[top : top + BAND] = ids[found[top : top + BAND].long()]
    return found


def _highest(logits_1Ohw: Tensor, size: tuple[int, int]) -> Tensor:
    """Argmax of the bilinearly enlarged logits, uint8 ``(H, W)`` on the CPU; output by output.

    All outputs enlarged at once would take 4 bytes for each of them and each pixel: 12 GB of a large photograph.
    """
    best = torch.full(size, -torch.inf, device=logits_1Ohw.device)
    found = torch.zeros(size, dtype=torch.uint8, device=logits_1Ohw.device)
    for output, logits in enumerate(logits_1Ohw[0]):
        large = F.interpolate(logits[None, None], size, mode="bilinear", align_corners=False)[0, 0]
        found.masked_fill_(large > best, output)
        torch.maximum(best, large, out=best)
    return found.cpu()


def _highest_by_bands(logits_1Ohw: Tensor, height: int, width: int) -> Tensor:
    """The same, rows of `BAND` at a time, so that what it takes beside its result grows with the width alone.

    Rows are mixed as ``F.interpolate`` does, in another order of additions: where two outputs are equal to seven digits
    the other one may win.
    """
    rows = logits_1Ohw.shape[-2]
    wide = F.interpolate(logits_1Ohw, (rows, width), mode="bilinear", align_corners=False)[0]
    found = torch.empty(height, width, dtype=torch.uint8)
    for top in range(0, height, BAND):
        places = torch.arange(top, min(top + BAND, height), device=wide.device, dtype=torch.float32)
        places = ((places + 0.5) * (rows / height) - 0.5).clamp(min=0)
        upper = places.long().clamp(max=rows - 1)
        lower, share = (upper + 1).clamp(max=rows - 1), (places - upper)[:, None]
        best = torch.full((len(places), width), -torch.inf, device=wide.device)
        here = torch.zeros(best.shape, dtype=torch.uint8, device=wide.device)
        for output, logits in enumerate(wide):
            large = torch.lerp(logits[upper], logits[lower], share)
            here.masked_fill_(large > best, output)
            torch.maximum(best, large, out=best)
        found[top : top + BAND] = here.cpu()
    return found
