"""What a method gives to the incremental loop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from wilss.nets.segmenter import Segmenter

if TYPE_CHECKING:
    from wilss.learn.methods.fmwiss import FmwissSpec


@dataclass(frozen=True)
class StepBatch:
    """One training batch of a step t >= 1.

    images: float32 ``(N, 3, H, W)``, normalised. masks: uint8 ``(N, C, H, W)``, pseudo-masks of the new classes.
    tags: bool ``(N, C)``. pasted: int64 ``(N, H, W)``, output channel of a pasted old-class instance, 0 elsewhere.
    """

    images: Tensor
    masks: Tensor
    tags: Tensor
    pasted: Tensor


@dataclass(frozen=True)
class StepContext:
    """What a method may use: the grown student, the frozen model of the step before, and its settings."""

    student: Segmenter
    old: Segmenter
    n_old: int
    """Outputs of the old model: background + old classes."""
    n_new: int
    fmwiss: FmwissSpec
    generator: torch.Generator


class Method(Protocol):
    """A way to learn a step. Stateless but for its own plug-in modules."""

    pastes: bool
    """Whether old-class instances are pasted into the batches."""

    def heads(self) -> Iterable[nn.Module]:
        """Modules beside the student that are trained with it and dropped afterwards."""
        ...

    def losses(self, batch: StepBatch, epoch: int) -> dict[str, Tensor]:
        """Loss terms by name; their sum is minimised. Called under autocast; every term is float32."""
        ...

    def final_masks(self, images: Tensor) -> Tensor | None:
        """New classes' probabilities after training, float32 ``(N, C, h, w)``; None if the method has none."""
        ...
