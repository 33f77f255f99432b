"""The released code's form of a convolution that is tuned by its singular values, to compare with."""

from __future__ import annotations

import copy
from typing import cast

import wilss._torchvision  # noqa: F401

import torch.nn.functional as F
from timm.layers import Conv2dSame
from torch import Tensor, nn

from wilss.errors import SpecError
from wilss.nets.svf import SingularValues


class FactoredConv2d(nn.Module):
    """The released code's form of a decomposed convolution: V^T (k x k), the singular values, U (1 x 1).

    For comparison only: it is slower and larger than the composed form, and equal to it. Raises SpecError for a layer
    with a forward of its own, other than timm's with TensorFlow's padding.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        if type(layer) not in (nn.Conv2d, Conv2dSame):
            raise SpecError(f"the factored form is of Conv2d and Conv2dSame, not {type(layer).__name__}; compose it")
        groups = layer.groups
        decomposed = SingularValues(layer.weight, groups, "direct")
        rank = decomposed.values.shape[1]
        self.layer = layer.requires_grad_(False)
        self.first = copy.deepcopy(layer)  # pads as the layer does
        right = decomposed.right.reshape(groups * rank, *layer.weight.shape[1:]).contiguous()
        self.first.weight, self.first.bias = nn.Parameter(right, requires_grad=False), None
        self.register_buffer("last", decomposed.left.reshape(-1, rank, 1, 1).contiguous())
        self.values = nn.Parameter(decomposed.values.clone())

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        scaled = self.first(images) * self.values.flatten()[:, None, None]
        return F.conv2d(scaled, cast(Tensor, self.last), self.layer.bias, groups=self.layer.groups)
