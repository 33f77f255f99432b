"""What lets torch.export trace students with "same" padding, as TensorFlow calls it, for every size of image.

The sides of a shrunk image are long expressions of height and width, and every layer that pads by them and halves them
makes them longer: PyTorch reasoned for more than a quarter of an hour about those of a MobileNetV2. So the sides become
numbers of their own, the padding is told in whole numbers, and a BatchNorm that is not trained is the product and the
sum that it is, as its own kernel asks whether it has any values. Other networks are traced as they are: those of ViTs
ask what the sides are made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from unittest.mock import patch

import wilss._torchvision  # noqa: F401

import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame, padding
from torch import Tensor, nn


def pads_same(network: nn.Module) -> bool:
    """Whether a network has convolutions that pad by the size of their input."""
    return any(isinstance(module, Conv2dSame) for module in network.modules())


def plain_number(side: int, most: int) -> int:
    """The same number from 2 to ``most``; where it is traced, one of which nothing else is known."""
    number = cast(int, torch.scalar_tensor(side, dtype=torch.int64).item())
    torch._check(number >= 2)
    torch._check(number <= most)
    return number


@contextmanager
def traceable() -> Iterator[None]:
    """Have networks that are traced inside pad and normalise in the simple form. They compute what they do outside."""
    with patch.object(padding, "get_same_padding", same_padding), patch.object(F, "batch_norm", kept_norm):
        yield


def same_padding(side: int, kernel: int, stride: int, dilation: int) -> int:
    """Pixels by which a side is enlarged, so that ``ceil(side / stride)`` remain, as TensorFlow's "same" has it."""
    least = (kernel - 1) * dilation + 1 - stride
    if stride == 1:
        return least
    needed = least + (stride - side % stride) % stride
    return needed if least >= 0 else torch.sym_max(needed, 0)


def kept_norm(
    values: Tensor,
    mean: Tensor | None,
    var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`torch.nn.functional.batch_norm` by the statistics that it keeps; values ``(N, C, H, W)``."""
    assert not training
    assert mean is not None
    assert var is not None
    scale = (var + eps).rsqrt() * (1 if weight is None else weight)
    shift = (0 if bias is None else bias) - mean * scale
    return values * scale[:, None, None] + shift[:, None, None]
