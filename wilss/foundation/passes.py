"""What a network made of a batch, kept until it is asked for again: scorer and grouper may read the same pass."""

from __future__ import annotations

from typing import Generic, TypeVar
from weakref import ref

from torch import Tensor

T = TypeVar("T")


class KeptPass(Generic[T]):
    """One result, of the very tensor of images that it was made of, as long as that lives and nobody writes to it."""

    def __init__(self) -> None:
        self._kept: tuple[ref[Tensor], int, T] | None = None

    def keep(self, images: Tensor, made: T) -> T:
        """Keep what was made of these images, in place of what was kept before.

        Tensors of inference mode do not tell when they are written to, so that nothing is kept of them.
        """
        self._kept = None if images.is_inference() else (ref(images, self._forget), images._version, made)
        return made

    def take(self, images: Tensor) -> T | None:
        """What was made of these images, which is not kept any longer; None for others."""
        kept = self._kept
        if kept is None or kept[0]() is not images or kept[1] != images._version:
            return None
        self._kept = None
        return kept[2]

    def _forget(self, images: ref[Tensor]) -> None:
        kept = self._kept
        if kept is not None and kept[0] is images:
            self._kept = None
