"""What a network gives for a batch of images: logits of one pass, or probabilities averaged over several."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.device import to_device
from wilss.nets.segmenter import Segmenter

SCALES = (0.75, 1.0, 1.25)


@torch.inference_mode()
def output_maps(model: Segmenter, images_N3HW: Tensor, tta: bool = False) -> Tensor:
    """float32 ``(N, O, h, w)`` on the model's device, whose highest output is what is seen.

    Args:
        images_N3HW: uint8, of one size. tta: sigmoids averaged over `SCALES`, each as it is and mirrored, instead of
            the logits of one pass.
    """
    images = to_device(images_N3HW, next(model.parameters()).device).float() / 255
    if not tta:
        return model(images).float()
    maps = [_probabilities(model, _scaled(images, scale, model.spec.output_stride)) for scale in SCALES]
    size = maps[SCALES.index(1.0)].shape[-2:]
    return torch.stack([F.interpolate(one, size, mode="bilinear", align_corners=False) for one in maps]).mean(0)


def _scaled(images: Tensor, scale: float, stride: int) -> Tensor:
    """Images of about this scale; their sides are whole cells, so that the cells of a mirrored one are the same."""
    height, width = (max(1, round(side * scale / stride)) * stride for side in images.shape[-2:])
    if (height, width) == images.shape[-2:]:
        return images
    return F.interpolate(images, (height, width), mode="bilinear", align_corners=False, antialias=True)


def _probabilities(model: Segmenter, images: Tensor) -> Tensor:
    """As the outputs are trained: each a sigmoid of its own."""
    mirrored = model(images.flip(-1)).float().sigmoid().flip(-1)
    return (model(images).float().sigmoid() + mirrored) / 2
