"""Memory-based copy-paste: old-class instances on new images (FMWISS sec. 3.5), batched."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from wilss.learn.memory import MemoryBank


class PasteSpec(BaseModel):
    """How instances are pasted. Probability and count are recalled, the rest is unknown in the paper."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    probability: float = Field(0.5, ge=0, le=1, description="share of images that get instances (recalled)")
    count: int = Field(2, ge=1, description="instances per chosen image (recalled)")
    min_scale: float = Field(0.75, gt=0, description="size factor is drawn from min_scale to max_scale")
    max_scale: float = Field(1.25, gt=0)
    flip: float = Field(0.5, ge=0, le=1)


@dataclass(frozen=True)
class Pasted:
    """Images with instances and what is now known of them.

    images: float32 ``(N, 3, H, W)`` in [0, 1]. channels: int64 ``(N, H, W)``, output channel of the pasted instance, 0
    where nothing was pasted. layers: the label layers with covered pixels erased.
    """

    images: Tensor
    channels: Tensor
    layers: Tensor


def paste(
    images: Tensor,
    layers: Tensor,
    bank: MemoryBank,
    spec: PasteSpec,
    generator: torch.Generator,
) -> Pasted:
    """Paste instances at random places; every instance keeps its true class as a hard label.

    Args:
        images: float32 ``(N, 3, H, W)`` in [0, 1].
        layers: pseudo-label layers ``(N, C, H, W)`` of the new classes; set to 0 under an instance.
    """
    n, _, height, width = images.shape
    images, layers = images.clone(), layers.clone()
    channels = torch.zeros(n, height, width, dtype=torch.int64)
    chosen = torch.rand(n, generator=generator) < spec.probability
    rows = chosen.nonzero()[:, 0]
    if len(rows) == 0:
        return Pasted(images, channels, layers)
    for _ in range(spec.count):
        index = torch.randint(len(bank), (len(rows),), generator=generator)
        pixels, alpha = _place(bank, index, (height, width), spec, generator)
        inside = alpha > 0.5
        images[rows] = torch.where(inside, pixels, images[rows])
        layers[rows] = layers[rows] * ~inside
        channels[rows] = torch.where(inside[:, 0], bank.channels[index][:, None, None], channels[rows])
    return Pasted(images, channels, layers)


def _place(
    bank: MemoryBank,
    index: Tensor,
    size: tuple[int, int],
    spec: PasteSpec,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Warp instances into the image frame: pixels ``(n, 3, H, W)`` in [0, 1] and coverage ``(n, 1, H, W)``."""
    n, side = len(index), bank.images.shape[-1]
    box = bank.sizes[index].float()  # (height, width) in bank pixels
    scale = torch.empty(n).uniform_(spec.min_scale, spec.max_scale, generator=generator)
    frame = torch.tensor(size).float()
    scale = torch.minimum(scale, (0.9 * frame / box).amin(1))  # an instance never fills the whole image
    flip = torch.where(torch.rand(n, generator=generator) < spec.flip, -1.0, 1.0)
    centre = torch.rand(n, 2, generator=generator) * 2 - 1  # (y, x) in the image frame
    theta = torch.zeros(n, 2, 3)
    zoom = frame / (side * scale[:, None])  # (y, x)
    middle = box / side - 1  # centre of the instance in the bank frame
    theta[:, 0, 0], theta[:, 1, 1] = zoom[:, 1] * flip, zoom[:, 0]
    theta[:, 0, 2] = middle[:, 1] - zoom[:, 1] * flip * centre[:, 1]
    theta[:, 1, 2] = middle[:, 0] - zoom[:, 0] * centre[:, 0]
    grid = F.affine_grid(theta, [n, 1, *size], align_corners=False)
    stacked = torch.cat([bank.images[index].float() / 255, bank.masks[index][:, None].float()], 1)
    warped = F.grid_sample(stacked, grid, align_corners=False)
    return warped[:, :3], warped[:, 3:]
