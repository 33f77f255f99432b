"""Any timm backbone as grouper: cosine affinity of its features to the seed's feature."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wilss.foundation.passes import KeptPass
from wilss.foundation.preprocess import cells, prepare, prepared_size
from wilss.precision import autocast
from wilss.section import Precision


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
    kept: KeptPass[Tensor] = field(default_factory=KeptPass, compare=False, repr=False)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """See `wilss.foundation.contracts.Grouper.grid`."""
        size = prepared_size(height, width, self.scale, self.stride)
        return size[0] // self.stride, size[1] // self.stride

    @torch.inference_mode()
    def affinity(self, images_N3HW: Tensor, seeds_NS2: Tensor) -> Tensor:
        """See `wilss.foundation.contracts.Grouper.affinity`."""
        features = self._map(images_N3HW)
        h, w = features.shape[-2:]
        if self.centred:
            features = features - features.mean((2, 3), keepdim=True)
        unit = F.normalize(features.flatten(2), dim=1)  # (N, D, hw)
        index = cells(seeds_NS2, h, w)[:, None].expand(-1, unit.shape[1], -1)
        cosine = unit.gather(2, index).transpose(1, 2) @ unit
        return (cosine / self.temperature).softmax(-1).unflatten(-1, (h, w))

    @torch.inference_mode()
    def features(self, images_N3HW: Tensor) -> Tensor:
        """See `wilss.foundation.contracts.Featured.features`; never centred."""
        return self.kept.keep(images_N3HW, self._map(images_N3HW))

    def _map(self, images_N3HW: Tensor) -> Tensor:
        kept = self.kept.take(images_N3HW)
        if kept is not None:
            return kept
        images = prepare(images_N3HW, self.mean, self.std, self.scale, self.stride)
        with autocast(self.precision, images.device):
            return self.net(images).float()


class LastMap(nn.Module):
    """The last of a ``features_only`` model's maps."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """``(N, 3, H, W)`` -> ``(N, D, h, w)``."""
        features: Tensor = self.net(images)[-1]
        return features


class PatchTokens(nn.Module):
    """The normed patch tokens of a timm ViT as a map."""

    def __init__(self, vit: Any) -> None:
        super().__init__()
        self.vit = vit

    def forward(self, images: Tensor) -> Tensor:
        """``(N, 3, H, W)`` -> ``(N, D, h, w)``."""
        patch = self.vit.patch_embed.patch_size
        tokens: Tensor = self.vit.forward_features(images)[:, self.vit.num_prefix_tokens :]
        return tokens.transpose(1, 2).unflatten(2, (images.shape[-2] // patch[0], images.shape[-1] // patch[1]))
