"""What a student sees in an image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.data.images import to_canvas
from wilss.models.card import StudentCard
from wilss.nets.segmenter import Segmenter


@torch.inference_mode()
def predict_image(model: Segmenter, card: StudentCard, image_3HW: Tensor) -> Tensor:
    """Class ids uint8 ``(H, W)`` of one uint8 image, at its own size; on the CPU."""
    device = next(model.parameters()).device
    small = to_canvas(image_3HW, card.input.canvas)
    logits = model(small[None].to(device).float() / 255).float()
    ids = torch.tensor([0, *card.class_ids], dtype=torch.uint8)
    return ids[_highest(logits, (image_3HW.shape[1], image_3HW.shape[2])).long()]


def _highest(logits_1Ohw: Tensor, size: tuple[int, int]) -> Tensor:
    """Argmax of the bilinearly enlarged logits, uint8 ``(H, W)`` on the CPU; output by output.

    All outputs enlarged at once would take 4 bytes for each of them and each pixel: 12 GB of a large photograph.
    """
    best = torch.full(size, -torch.inf, device=logits_1Ohw.device)
    found = torch.zeros(size, dtype=torch.uint8, device=logits_1Ohw.device)
    for output, logits in enumerate(logits_1Ohw[0]):
        large = F.interpolate(logits[None, None], size, mode="bilinear", align_corners=False)[0, 0]
        found[large > best] = output
        best = torch.maximum(best, large)
    return found.cpu()
