"""WILSON's localizer: three convolutions on the student's backbone features, dropped after training."""

from __future__ import annotations

from torch import nn

from wilss.nets.aspp import norm


class Localizer(nn.Sequential):
    """``(N, C_in, h, w)`` -> logits ``(N, n_outputs, h, w)`` over background, old and new classes."""

    def __init__(self, in_channels: int, n_outputs: int, channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, channels, 3, padding=1, bias=False),
            norm(channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            norm(channels),
            nn.Conv2d(channels, n_outputs, 1),
        )
