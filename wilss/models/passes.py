"""How often, and at what size, a network looks at an image. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from wilss.errors import SpecError

SMALLEST = 64
"""Pixels of a window's side: below it a network sees next to nothing around a pixel."""
MOST_OVERLAP = 0.9
"""More would look at every pixel a hundred times and more."""


@dataclass(frozen=True)
class Passes:
    """How a student looks at an image; without any of it once, shrunk to the canvas of its training.

    tta: at three scales (0.75, 1, 1.25), each as it is and mirrored; the probabilities are averaged.
    window: side in pixels of windows that slide over the image at full size; it is rounded to whole cells of the
    network's output. overlap: share of a window that its neighbour sees too; the middle of a window counts most.

    Raises SpecError for a window below `SMALLEST`, and an overlap that is not in [0, 0.9].
    """

    tta: bool = False
    window: int | None = None
    overlap: float = 0.25

    def __post_init__(self) -> None:
        if self.window is not None and self.window < SMALLEST:
            raise SpecError(f"the window is {self.window} pixels; give {SMALLEST} or more, such as the training's size")
        if not 0 <= self.overlap <= MOST_OVERLAP:
            raise SpecError(
                f"the overlap is {self.overlap:g}; it is a share of the window, from 0 to {MOST_OVERLAP}; take 0.25"
            )


ONCE = Passes()
