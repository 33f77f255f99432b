"""What a scorer and a grouper promise to the co-segmentation.

Shape suffixes: N images, C classes, S seeds, H and W pixels, h and w coarse grid cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from wilss.errors import SpecError

Prompts = Sequence[Sequence[str]]
"""For every class its names in plain words, the most usual first: ``[["tv monitor", "television"], ["sheep"]]``."""


class Scorer(Protocol):
    """Category-aware foundation model: where in the image is each named class?"""

    @property
    def digest(self) -> str:
        """Digest of weights and settings; part of the digest of every label set made with it."""
        ...

    def scores(self, images_N3HW: Tensor, prompts: Prompts) -> Tensor:
        """Score maps of all classes: how much speaks for each of them, against all that speaks for something else.

        Args:
            images_N3HW: float32 in [0, 1], any H x W.
            prompts: names of C classes; none may be empty.

        Returns:
            float32 ``(N, C, h, w)`` on the model's own coarse grid, without gradient: 0 where nothing speaks for a
            class, never negative; every scorer documents how large its values get. The result for an image does not
            depend on the other images of the batch.
        """
        ...


class Grouper(Protocol):
    """Category-agnostic foundation model: which pixels belong together with a seed?"""

    @property
    def digest(self) -> str:
        """Digest of weights and settings; part of the digest of every label set made with it."""
        ...

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the affinity maps of an image of that size."""
        ...

    def affinity(self, images_N3HW: Tensor, seeds_NS2: Tensor) -> Tensor:
        """Affinity of every grid cell to each seed.

        Args:
            images_N3HW: float32 in [0, 1], any H x W.
            seeds_NS2: float32 (x, y) in [0, 1), fractions of width and height.

        Returns:
            float32 ``(N, S, h, w)``, not negative, each map summing to 1, without gradient.
        """
        ...


def require_prompts(prompts: Prompts) -> None:
    """Raise SpecError for a class without any name."""
    for position, group in enumerate(prompts):
        if not any(name.strip() for name in group):
            raise SpecError(
                f"class {position + 1} of {len(prompts)} has no prompt ({list(group)}); give at least one name for it"
            )
