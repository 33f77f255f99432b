"""What a few-shot head is given and what it gives: one contract for all methods.

Letters in shapes: B episodes, K supports (shots) of each, H x W pixels, h x w positions of the features.
Rows of support features are ordered episode by episode: row ``b * K + k``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from wilss.fewshot.pyramid import Features, MiddleFeatures

IGNORE = 255


@dataclass(frozen=True)
class EpisodeBatch:
    """B episodes on one device.

    query: float32 ``(B, 3, H, W)`` in [0, 1]. support: float32 ``(B, K, 3, H, W)``, likewise.
    query_mask: uint8 ``(B, H, W)``: 1 the episode's class, 0 anything else, 255 void and padding; None when unknown.
    support_mask: uint8 ``(B, K, H, W)`` of the same values.
    query_pad, support_pad: bool ``(B, H, W)`` and ``(B, K, H, W)``, True outside the image: from its size, never from
        labels.
    class_id: int64 ``(B,)``, ids of the data set (from 1).
    base_class: int64 ``(B,)``, position of the class among the base classes (from 0), -1 where it is none of them.
    """

    query: Tensor
    query_mask: Tensor | None
    query_pad: Tensor
    support: Tensor
    support_mask: Tensor
    support_pad: Tensor
    class_id: Tensor
    base_class: Tensor


@dataclass(frozen=True)
class HeadInput:
    """All that a head may see. The query's mask is not among it, so no prediction can depend on it.

    Args:
        query: features of B queries.
        support: of B * K supports, without c5: most heads run the last stage on masked supports only.
        support_mask, support_pad: ``(B, K, H, W)``; query_pad: ``(B, H, W)``; as in `EpisodeBatch`.
        last_stage: backbone's last stage, c4 ``(N, C4, h, w)`` -> c5 ``(N, C5, h, w)``.
        decode: c5 ``(N, C5, h, w)`` -> bottleneck ``(N, D, h, w)`` of the stage-1 PSPNet; None for heads that need no
            stage 1.
        base_logits: ``(B, 1 + classes, h, w)`` of the frozen base learner on the query; None likewise.
        exclude: int64 ``(B,)``, the base class that is the episode's own; -1 where it is none, as of novel classes.
    """

    query: Features
    support: MiddleFeatures
    support_mask: Tensor
    support_pad: Tensor
    query_pad: Tensor
    last_stage: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor] | None = None
    base_logits: Tensor | None = None
    exclude: Tensor | None = None

    @property
    def shots(self) -> int:
        """K."""
        return int(self.support_mask.shape[1])


@dataclass(frozen=True)
class HeadOutput:
    """Predictions of a head; everything at feature resolution.

    logits: float ``(B, 2, h, w)``: background, foreground.
    aux: further predictions of the same kind, any size. query_masks: ``(B, 1, h, w)`` and support_masks
    ``(B, K, h, w)``: logits of intermediate masks, layer by layer (IPMT).
    """

    logits: Tensor
    aux: tuple[Tensor, ...] = ()
    query_masks: tuple[Tensor, ...] = ()
    support_masks: tuple[Tensor, ...] = ()


class Head(Protocol):
    """A few-shot head; every one is an ``nn.Module`` too.

    stage1: the stage-1 network that it builds upon: "" none, "decoder" its bottleneck features, "classes" its logits.
    It may have ``detaches_supports``, True if no gradient reaches the supports' features, and
    ``transformer_parameters()``, its parameters with a rate of their own.
    """

    stage1: str

    def __call__(self, inputs: HeadInput) -> HeadOutput:
        """Predict. Never raises for an empty support mask: that is refused where episodes are drawn."""
        ...

    def losses(self, output: HeadOutput, batch: EpisodeBatch) -> dict[str, Tensor]:
        """Loss terms in float32 by name, their sum is minimised; ``batch.query_mask`` must be given."""
        ...
