"""Batched random resized crop and flip of images and their label layers (WILSON's training transform)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor


class AugmentSpec(BaseModel):
    """Random resized crop and horizontal flip."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop: int = Field(512, ge=16, description="side of the square training crop in pixels")
    min_area: float = Field(0.5, gt=0, le=1, description="smallest crop, share of the image area")
    max_ratio: float = Field(4 / 3, ge=1, description="aspect ratios are drawn from 1/max_ratio to max_ratio")
    flip: float = Field(0.5, ge=0, le=1, description="probability of a horizontal flip")
    brightness: float = Field(0.0, ge=0, le=1, description="gain is drawn from 1 - b to 1 + b (0 in the paper)")


@dataclass(frozen=True)
class View:
    """One drawn geometric transform for a batch: sampling grid ``(N, crop, crop, 2)`` and gains ``(N, 1, 1, 1)``."""

    grid: Tensor
    gain: Tensor

    def images(self, images_N3SS: Tensor) -> Tensor:
        """uint8 canvas -> float32 ``(N, 3, crop, crop)`` in [0, 1], bilinear."""
        sampled = F.grid_sample(images_N3SS.float() / 255, self.grid, padding_mode="border", align_corners=False)
        return (sampled * self.gain).clamp(0, 1)

    def labels(self, labels_NSS: Tensor) -> Tensor:
        """uint8 label maps ``(N, S, S)`` -> uint8 ``(N, crop, crop)``, nearest."""
        return self.layers(labels_NSS[:, None])[:, 0]

    def layers(self, layers_NCSS: Tensor) -> Tensor:
        """uint8 layers ``(N, C, S, S)`` -> uint8 ``(N, C, crop, crop)``, nearest, so that no new value appears."""
        sampled = F.grid_sample(
            layers_NCSS.float(), self.grid, mode="nearest", padding_mode="border", align_corners=False
        )
        return sampled.to(torch.uint8)


def draw_view(spec: AugmentSpec, sizes_N2: Tensor, canvas: int, generator: torch.Generator) -> View:
    """Draw a crop inside the true image area of each canvas.

    Args:
        sizes_N2: true (height, width) in pixels on the canvas.
    """
    n = len(sizes_N2)
    height, width = sizes_N2[:, 0].float(), sizes_N2[:, 1].float()
    area = torch.empty(n).uniform_(spec.min_area, 1.0, generator=generator) * height * width
    bound = torch.tensor(spec.max_ratio).log()
    ratio = (torch.empty(n).uniform_(-1, 1, generator=generator) * bound).exp()
    crop_w, crop_h = torch.minimum((area * ratio).sqrt(), width), torch.minimum((area / ratio).sqrt(), height)
    left = torch.rand(n, generator=generator) * (width - crop_w)
    top = torch.rand(n, generator=generator) * (height - crop_h)
    flip = torch.where(torch.rand(n, generator=generator) < spec.flip, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = crop_w / canvas * flip, crop_h / canvas
    theta[:, 0, 2] = (2 * left + crop_w) / canvas - 1
    theta[:, 1, 2] = (2 * top + crop_h) / canvas - 1
    grid = F.affine_grid(theta, [n, 1, spec.crop, spec.crop], align_corners=False)
    gain = 1 + spec.brightness * torch.empty(n, 1, 1, 1).uniform_(-1, 1, generator=generator)
    return View(grid, gain)


def normalise(images_N3HW: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Images in [0, 1] -> the backbone's input, channels last."""
    shift, spread = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return ((images_N3HW - shift) / spread).contiguous(memory_format=torch.channels_last)
