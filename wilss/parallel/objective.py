"""What a training minimises."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from torch import Tensor, nn

B_contra = TypeVar("B_contra", contravariant=True)


class Objective(Protocol[B_contra]):
    """What is minimised."""

    def heads(self) -> Iterable[nn.Module]:
        """Modules beside the student that are trained with it."""
        ...

    def losses(self, batch: B_contra, epoch: int) -> dict[str, Tensor]:
        """Loss terms by name; their sum is minimised. Called under autocast; every term is float32."""
        ...
