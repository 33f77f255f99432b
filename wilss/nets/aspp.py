"""Atrous spatial pyramid pooling in WILSON's form (image pooling is added, not concatenated)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wilss.nets.blocks import SLOPE

SLICE = 512
"""Input channels that a CPU convolves at once where a layer is dilated and computes in bf16. Of 2,048 channels it takes
a fifth of the time so: oneDNN has no fast kernel above some 1,300."""


def norm(channels: int) -> nn.Sequential:
    """BatchNorm + leaky ReLU 0.01, the plain counterpart of WILSON's InPlace-ABN."""
    return nn.Sequential(nn.BatchNorm2d(channels), nn.LeakyReLU(SLOPE, inplace=True))


class ASPP(nn.Module):
    """``(N, C_in, h, w)`` -> ``(N, channels, h, w)``: a 1x1 and three dilated 3x3 branches, plus pooled context.

    Args:
        in_channels: channels of the backbone feature.
        channels: channels of every branch and of the output.
        rates: dilations of the 3x3 branches; (6, 12, 18) at output stride 16 and (12, 24, 32) at 8 in the papers.

    The context branch pools the whole map in training and in evaluation alike (WILSON pools a training-crop-sized
    window in evaluation).
    """

    def __init__(self, in_channels: int, channels: int, rates: Sequence[int]) -> None:
        super().__init__()
        branches = [nn.Conv2d(in_channels, channels, 1, bias=False)]
        branches += [nn.Conv2d(in_channels, channels, 3, padding=r, dilation=r, bias=False) for r in rates]
        self.branches = nn.ModuleList(branches)
        self.norm = norm(channels * len(branches))
        self.project = nn.Conv2d(channels * len(branches), channels, 1, bias=False)
        self.context = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1, bias=False),
            norm(channels),
            nn.Conv2d(channels, channels, 1, bias=False),
        )
        self.out = norm(channels)

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        branches = [self.branches[0](features), *(_dilated(branch, features) for branch in list(self.branches)[1:])]
        local = self.project(self.norm(torch.cat(branches, 1)))
        context = self.context(features.mean((2, 3), keepdim=True))
        return self.out(local + context)


def _dilated(layer: nn.Module, features: Tensor) -> Tensor:
    """What the convolution gives; in slices of its input where that is faster, whose sums are rounded apart."""
    assert isinstance(layer, nn.Conv2d)
    if layer.in_channels < 2 * SLICE or features.device.type != "cpu" or not _in_bf16(features):
        return cast(Tensor, layer(features))
    slices = zip(features.split(SLICE, 1), layer.weight.split(SLICE, 1), strict=True)
    parts = [F.conv2d(x, w, padding=layer.padding, dilation=layer.dilation) for x, w in slices]
    return torch.stack(parts).sum(0)


def _in_bf16(features: Tensor) -> bool:
    """Whether a convolution on the CPU takes and gives it now."""
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu") == torch.bfloat16
    return features.dtype == torch.bfloat16
