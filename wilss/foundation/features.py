"""Any timm backbone as grouper: cosine affinity of its features to the seed's feature."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wilss.foundation.preprocess import cells, prepare
from wilss.precision import Precision, autocast


@dataclass(frozen=True)
class FeatureGrouper:
    """Softmax over the grid of the cosine between each cell's and the seed's feature.

    Args:
        net: images -> feature map ``(N, D, h, w)``.
        stride: input sizes are rounded to multiples of it.
        temperature: divides the cosine; small values keep only the most similar cells.
        centred: take the image's mean feature away first, so that what all its cells share does not group them.
        precision: of the network; "auto" takes bf16 where the hardware has it.
    """

    net: nn.Module
    digest: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    stride: int
    scale: float = 1.0
    temperature: float = 0.1
    centred: bool = False
    precision: Precision = "fp32"

    @torch.inference_mode()
    def affinity(self, images_N3HW: Tensor, seeds_NS2: Tensor) -> Tensor:
        """See `wilss.foundation.contracts.Grouper.affinity`."""
        images = prepare(images_N3HW, self.mean, self.std, self.scale, self.stride)
        with autocast(self.precision, images.device):
            features = self.net(images).float()
        h, w = features.shape[-2:]
        if self.centred:
            features = features - features.mean((2, 3), keepdim=True)
        unit = F.normalize(features.flatten(2), dim=1)  # (N, D, hw)
        index = cells(seeds_NS2, h, w)[:, None].expand(-1, unit.shape[1], -1)
        cosine = unit.gather(2, index).transpose(1, 2) @ unit
        return (cosine / self.temperature).softmax(-1).unflatten(-1, (h, w))
