"""What a scorer and a grouper promise to the co-segmentation.

Shape suffixes: N images, C classes, S seeds, H and W pixels, h and w coarse grid cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

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


@runtime_checkable
class TagScorer(Protocol):
    """What a scorer may offer beside its contract: a competition that not all words take part in."""

    def scores_among(self, images_N3HW: Tensor, prompts: Prompts, allowed_NC: Tensor) -> Tensor:
        """Like `Scorer.scores`, where the settings say so over the words of the allowed classes alone.

        Args:
            allowed_NC: bool, the classes that compete in each image; words that are no class of ``prompts`` always do.

        Returns:
            as `Scorer.scores`; 0 for a class that is not allowed, where only allowed ones compete.
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


class Featured(Protocol):
    """What a grouper may offer beside its contract: its features, for a scorer that follows them."""

    def features(self, images_N3HW: Tensor) -> Tensor:
        """Features ``(N, D, h, w)``, float32 without gradient, of images float32 in [0, 1] of any size.

        What it made on the way may be kept for `Grouper.affinity` of the same tensor, which usually comes next.
        """
        ...


def features_of(grouper: object) -> Callable[[Tensor], Tensor] | None:
    """`Featured.features` of a grouper that has it."""
    found: Callable[[Tensor], Tensor] | None = getattr(grouper, "features", None)
    return found


def scores_among(scorer: Scorer, images_N3HW: Tensor, prompts: Prompts, allowed_NC: Tensor) -> Tensor:
    """`TagScorer.scores_among` of a scorer that has it, else its scores."""
    if isinstance(scorer, TagScorer):
        return scorer.scores_among(images_N3HW, prompts, allowed_NC)
    return scorer.scores(images_N3HW, prompts)


def require_prompts(prompts: Prompts) -> None:
    """Raise SpecError for a class without any name."""
    for position, group in enumerate(prompts):
        if not any(name.strip() for name in group):
            raise SpecError(
                f"class {position + 1} of {len(prompts)} has no prompt ({list(group)}); give at least one name for it"
            )
