"""Dilated convolutions of many channels, which a CPU takes in slices where it computes in bf16."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from wilss.nets.aspp import ASPP, SLICE, _dilated

Convolve = Callable[[nn.Module, Tensor], Tensor]


def made(channels: int) -> tuple[nn.Conv2d, Tensor]:
    """A layer and its input, whose values are bf16's and therefore nobody's rounding."""
    torch.manual_seed(0)
    layer = nn.Conv2d(channels, 8, 3, padding=3, dilation=3, bias=False)
    layer.weight.data = layer.weight.data.bfloat16().float()
    return layer, torch.randn(2, channels, 9, 7).bfloat16()


def results(convolve: Convolve, layer: nn.Conv2d, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The output, and the gradients of input and weight for a given one of the output."""
    leaf = features.clone().requires_grad_(True)
    layer.zero_grad(set_to_none=True)
    found = convolve(layer, leaf)
    gen = torch.Generator().manual_seed(1)
    found.backward(torch.randint(-2, 3, found.shape, generator=gen).to(found.dtype))
    assert leaf.grad is not None
    assert layer.weight.grad is not None
    return found.detach().double(), leaf.grad.double(), layer.weight.grad.double()


@pytest.mark.parametrize("channels", [2 * SLICE, 2 * SLICE + 76])
def test_slices_round_no_worse_than_one_convolution(channels: int) -> None:
    layer, features = made(channels)
    with torch.autocast("cpu", torch.bfloat16):
        sliced = results(_dilated, layer, features)
        whole = results(lambda one, x: one(x), layer, features)
    exact = results(lambda one, x: one(x), layer.double(), features.double())
    assert not torch.equal(sliced[0], whole[0]), "slices were taken"
    for own, one, wanted in zip(sliced, whole, exact, strict=True):
        spread = float((one - wanted).square().mean().sqrt())
        assert float((own - wanted).square().mean().sqrt()) <= 1.5 * spread + 1e-12
        assert float((own - wanted).abs().max()) < 0.02 * float(wanted.abs().max())


def test_fp32_and_few_channels_are_convolved_at_once() -> None:
    for channels, precise in ((2 * SLICE, True), (2 * SLICE - 1, False)):
        layer, features = made(channels)
        features = features.float() if precise else features
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            assert torch.equal(_dilated(layer, features), layer(features))


def test_a_pyramid_of_many_channels_is_the_same_in_both_precisions() -> None:
    torch.manual_seed(0)
    pyramid, features = ASPP(2 * SLICE, 8, (1, 2, 3)).eval(), torch.randn(2, 2 * SLICE, 9, 7)
    with torch.no_grad():
        wanted = pyramid(features)
        with torch.autocast("cpu", torch.bfloat16):
            found = pyramid(features)
    assert float((found - wanted).abs().max()) < 0.03 * float(wanted.abs().max())
