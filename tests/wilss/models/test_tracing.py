"""Padding and BatchNorm as they are traced compute what timm's and PyTorch's do."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from timm.layers import padding
from torch import nn

from wilss.models.tracing import kept_norm, plain_number, same_padding, traceable


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("dilation", [1, 2])
def test_padding_is_timms(stride: int, kernel: int, dilation: int) -> None:
    for side in range(1, 40):
        wanted = max((math.ceil(side / stride) - 1) * stride + (kernel - 1) * dilation + 1 - side, 0)
        assert padding.get_same_padding(side, kernel, stride, dilation) == wanted
        assert same_padding(side, kernel, stride, dilation) == wanted, side


@pytest.mark.parametrize("affine", [True, False])
def test_a_kept_batchnorm_is_a_product_and_a_sum(affine: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    layer = nn.BatchNorm2d(4, affine=affine)
    layer(3 + 2 * torch.rand(8, 4, 5, 5, generator=generator))  # keeps statistics
    for parameter in layer.parameters():
        nn.init.normal_(parameter, 1, 0.5, generator=generator)
    values = torch.rand(2, 4, 3, 5, generator=generator)
    wanted = layer.eval()(values)
    with traceable():
        assert F.batch_norm is kept_norm
        assert torch.allclose(layer(values), wanted, atol=1e-6)
    assert F.batch_norm is not kept_norm


def test_a_number_stays_what_it_is() -> None:
    assert [plain_number(side, 48) for side in (2, 17, 48)] == [2, 17, 48]
