"""Any timm backbone as grouper: cosine affinity of its features to the seed's feature."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wilss.foundation.preprocess import cells, prepare


@dataclass(frozen=True)
class FeatureGrouper:
    """Softmax over the grid of the cosine between each cell's and the seed's feature.

    Args:
        net: images -> feature map ``(N, D, h, w)``.
        temperature: divides the cosine; small values keep only the most similar cells.
    """

    net: nn.Module
    digest: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    stride: int
    scale: float = 1.0
    temperature: float = 0.1

    @torch.inference_mode()
    def affinity(self, images_N3HW: Tensor, seeds_NS2: Tensor) -> Tensor:
        """See `wilss.foundation.contracts.Grouper.affinity`."""
        features = self.net(prepare(images_N3HW, self.mean, self.std, self.scale, self.stride))
        h, w = features.shape[-2:]
        unit = F.normalize(features.float().flatten(2), dim=1)  # (N, D, hw)
        index = cells(seeds_NS2, h, w)[:, None].expand(-1, unit.shape[1], -1)
        cosine = unit.gather(2, index).transpose(1, 2) @ unit
        return (cosine / self.temperature).softmax(-1).unflatten(-1, (h, w))
