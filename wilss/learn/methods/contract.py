"""What a method gives to the incremental loop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from wilss.learn.spec import MethodSettings, PasteSpec
from wilss.nets.segmenter import Segmenter


@dataclass(frozen=True)
class StepBatch:
    """One training batch of a step t >= 1.

    images: float32 ``(N, 3, H, W)`` in [0, 1]. masks: uint8 ``(N, C, H, W)``, pseudo-masks of the new classes, None
    for methods that take none. tags: bool ``(N, C)``. pasted: int64 ``(N, H, W)``, output channel of a pasted old-class
    instance, 0 elsewhere.
    """

    images: Tensor
    masks: Tensor | None
    tags: Tensor
    pasted: Tensor

    def require_masks(self) -> Tensor:
        """The pseudo-masks. Raises ValueError when the loop was given no label set."""
        if self.masks is None:
            raise ValueError("this method learns from pseudo-masks, but the step has no label set; give the loop one")
        return self.masks


@dataclass(frozen=True)
class StepContext:
    """What a method may use: the grown student, the frozen model of the step before, and its settings."""

    student: Segmenter
    old: Segmenter
    n_old: int
    """Outputs of the old model: background + old classes."""
    n_new: int
    settings: MethodSettings
    """The method's own, of the class that it is registered with."""
    generator: torch.Generator
    one_backbone: bool = False
    """The student's backbone is frozen: its features are the old model's."""

    def __post_init__(self) -> None:
        self.old.eval().requires_grad_(False)
        self.old.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def device(self) -> torch.device:
        """Where the student is."""
        return next(self.student.parameters()).device

    @property
    def step(self) -> int:
        """Which step is learnt, from 1."""
        return len(self.student.step_sizes) - 1

    def look_back(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``(N, C_in, h, w)`` and sigmoid outputs, float32 ``(N, O, h, w)``, of the old model; no gradient."""
        with torch.inference_mode():
            features = self.old.features(images)
            probability = self.old.classify(features).float().sigmoid()
        return features.clone(), probability.clone()  # a tensor of inference mode may not enter a graph

    def features(self, images: Tensor, old_features: Tensor) -> Tensor:
        """The student's features ``(N, C_in, h, w)``; those that `look_back` found where both have one backbone."""
        return old_features if self.one_backbone else self.student.features(images)


class Method(Protocol):
    """A way to learn a step. Stateless but for its own plug-in modules."""

    @property
    def paste(self) -> PasteSpec | None:
        """How old-class instances are pasted into the batches; None for not at all."""
        ...

    def heads(self) -> Iterable[nn.Module]:
        """Modules beside the student that are trained with it and dropped afterwards."""
        ...

    def losses(self, batch: StepBatch, epoch: int) -> dict[str, Tensor]:
        """Loss terms by name; their sum is minimised. Called under autocast; every term is float32."""
        ...

    def final_masks(self, images: Tensor) -> Tensor | None:
        """New classes' probabilities after training, float32 ``(N, C, h, w)``; None if the method has none.

        Args:
            images: float32 ``(N, 3, H, W)`` in [0, 1].
        """
        ...
