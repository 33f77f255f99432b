"""The plug-in teacher of FMWISS: an ASPP head on the student's backbone features, dropped after training."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from torch import Tensor, nn

from wilss.nets.aspp import ASPP


class Teacher(nn.Module):
    """Backbone features -> logits over background, old and new classes, and the embedding they come from.

    Args:
        n_outputs: 1 + old + new classes.
        prior: initial sigmoid output of every channel.
    """

    def __init__(self, in_channels: int, n_outputs: int, channels: int, rates: Sequence[int], prior: float) -> None:
        super().__init__()
        self.aspp = ASPP(in_channels, channels, rates)
        self.classifier = nn.Conv2d(channels, n_outputs, 1)
        nn.init.normal_(self.classifier.weight, std=0.01)
        assert self.classifier.bias is not None
        nn.init.constant_(self.classifier.bias, log(prior / (1 - prior)))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, C_in, h, w)`` -> logits ``(N, K, h, w)`` and embedding ``(N, channels, h, w)``."""
        embedding = self.aspp(features)
        return self.classifier(embedding), embedding
