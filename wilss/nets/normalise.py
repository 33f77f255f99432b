"""The first layer of every network that is trained here: plain images become what its backbone was made for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from kornia.enhance import normalize
from torch import Tensor, nn


class Normalise(nn.Module):
    """Images float32 ``(N, 3, H, W)`` in [0, 1] -> the backbone's input, channels last: (x - mean) / std a channel.

    Both are kept on the network's device, and in no state dict: a stored network's card tells them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        normalised: Tensor = normalize(images, self.mean, self.std)
        return normalised.contiguous(memory_format=torch.channels_last)
