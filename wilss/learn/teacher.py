"""The plug-in teacher of FMWISS: an ASPP head on the student's backbone features, dropped after training."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor, nn

from wilss.errors import SpecError
from wilss.nets.aspp import ASPP
from wilss.nets.segmenter import Segmenter


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

    @torch.no_grad()
    def start_from(self, old: Segmenter) -> None:
        """Copy the old model's ASPP and its classifiers' rows; the rows of the new classes stay as they are.

        Raises SpecError when the widths differ.
        """
        width, wanted = self.classifier.in_channels, old.spec.aspp_channels
        if width != wanted:
            raise SpecError(
                f"fmwiss.teacher_channels is {width}, but a teacher that starts from the old model needs the "
                f"student's aspp_channels, {wanted}; set one to the other, or fmwiss.teacher_start to random"
            )
        self.aspp.load_state_dict(old.aspp.state_dict())
        weight, bias = old.classifier_parameters()
        assert self.classifier.bias is not None
        self.classifier.weight[: len(weight)] = weight
        self.classifier.bias[: len(bias)] = bias

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, C_in, h, w)`` -> logits ``(N, K, h, w)`` and embedding ``(N, channels, h, w)``."""
        embedding = self.aspp(features)
        return self.classifier(embedding), embedding
