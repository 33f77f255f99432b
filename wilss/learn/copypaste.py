"""Memory-based copy-paste: old-class instances on new images (FMWISS sec. 3.5), batched."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from kornia.geometry.transform import warp_affine
from torch import Tensor

from wilss.device import to_device
from wilss.learn.memory import MemoryBank
from wilss.learn.spec import PasteSpec


@dataclass(frozen=True)
class Pasted:
    """Images with instances and what is now known of them.

    images: float32 ``(N, 3, H, W)`` in [0, 1]. channels: int64 ``(N, H, W)``, output channel of the pasted instance, 0
    where nothing was pasted. layers: the label layers with covered pixels erased, None if there are none.
    """

    images: Tensor
    channels: Tensor
    layers: Tensor | None


def paste(
    images: Tensor,
    layers: Tensor | None,
    bank: MemoryBank,
    spec: PasteSpec,
    generator: torch.Generator,
) -> Pasted:
    """Paste instances at random places; every instance keeps its true class as a hard label.

    Args:
        images: float32 ``(N, 3, H, W)`` in [0, 1], on any device; the bank may lie on another.
        layers: pseudo-label layers ``(N, C, H, W)`` of the new classes; set to 0 under an instance. None if there are
            none.
        generator: on the CPU.
    """
    n, _, height, width = images.shape
    images = images.clone()
    layers = layers if layers is None else layers.clone()
    channels = torch.zeros(n, height, width, dtype=torch.int64, device=images.device)
    rows = (torch.rand(n, generator=generator) < spec.probability).nonzero()[:, 0]
    if len(rows) == 0:
        return Pasted(images, channels, layers)
    for _ in range(spec.count):
        index = torch.randint(len(bank), (len(rows),), generator=generator)
        warped = _place(bank, index, (height, width), spec, generator, images.device)
        inside = warped[:, 3:] > 0.5
        into = to_device(rows, images.device)
        images[into] = torch.where(inside, warped[:, :3], images[into])
        if layers is not None:
            layers[into] = layers[into] * ~inside
        own = to_device(bank.channels[index], images.device)
        channels[into] = torch.where(inside[:, 0], own[:, None, None], channels[into])
    return Pasted(images, channels, layers)


def _place(
    bank: MemoryBank,
    index: Tensor,
    size: tuple[int, int],
    spec: PasteSpec,
    generator: torch.Generator,
    device: torch.device,
) -> Tensor:
    """Warp instances into the image frame: pixels in [0, 1] and coverage, float32 ``(n, 4, H, W)``."""
    n = len(index)
    box = bank.sizes[index].float()  # (height, width) in bank pixels
    frame = torch.tensor(size).float()
    scale = torch.empty(n).uniform_(spec.min_scale, spec.max_scale, generator=generator)
    scale = torch.minimum(scale, (0.9 * frame / box).amin(1))  # an instance never fills the whole image
    flip = torch.where(torch.rand(n, generator=generator) < spec.flip, -1.0, 1.0)
    centre = torch.rand(n, 2, generator=generator) * frame - 0.5  # (y, x) pixel in the image
    middle = (box - 1) / 2  # centre pixel of the instance in the bank
    matrix = torch.zeros(n, 2, 3)
    matrix[:, 0, 0], matrix[:, 1, 1] = scale * flip, scale
    matrix[:, 0, 2] = centre[:, 1] - scale * flip * middle[:, 1]
    matrix[:, 1, 2] = centre[:, 0] - scale * middle[:, 0]
    own = index.to(bank.images.device)
    pixels, masks = (to_device(kept[own], device) for kept in (bank.images, bank.masks))
    stacked = torch.cat([pixels.float() / 255, masks[:, None].float()], 1)
    return warp_affine(stacked, to_device(matrix, device), size, align_corners=True)
