"""A large image in windows that overlap, as a ViT that was trained at one size sees it best.

Shape suffixes: K windows, h and w grid cells of a window.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.errors import SpecError

Box = tuple[int, int, int, int]
"""Top, left, height and width in pixels."""


def require_windows(window: int | None, step: int | None, patch: int) -> tuple[int, int] | None:
    """Side of the windows and way from one to the next in px; None without windows.

    Args:
        step: None takes the half of the window, in whole patches.

    Raises SpecError for either that is no multiple of ``patch``: cells of different windows would not meet.
    """
    if window is None:
        return None
    for name, value in (("window", window), ("stride", step)):
        if value is not None and value % patch:
            near = max(patch, round(value / patch) * patch)
            raise SpecError(
                f"foundation.{name} is {value} px, and the scorer's cells have {patch} px, so that cells of different "
                f"windows would not meet; take {near}"
            )
    return window, step or max(patch, window // 2 // patch * patch)


def boxes(height: int, width: int, window: int, step: int) -> list[Box]:
    """Windows that cover an image, the last of each row and column at its border, row by row.

    A side that is shorter than the window is taken whole.
    """
    high, wide = min(window, height), min(window, width)
    return [(top, left, high, wide) for top in _starts(height, high, step) for left in _starts(width, wide, step)]


def _starts(length: int, window: int, step: int) -> list[int]:
    return sorted({*range(0, length - window, step), length - window})


def joined(parts_KDhw: Tensor, places: Sequence[Box], size: tuple[int, int], patch: int) -> Tensor:
    """The mean of all windows at each cell of the whole image, ``(D, H / patch * f, W / patch * f)``.

    Args:
        parts_KDhw: what was found in each window; a grid that is finer than the patches keeps its size about: f is the
            nearest whole number of its cells in a patch, at least 1.
        places: of the windows, all of one size. size: of the image in px; all of them are multiples of ``patch``.
    """
    finer = max(1, round(parts_KDhw.shape[-2] * patch / places[0][2]))
    grid = tuple(side // patch * finer for side in places[0][2:])
    if parts_KDhw.shape[-2:] != grid:
        parts_KDhw = F.interpolate(parts_KDhw, grid, mode="bilinear", align_corners=False)
    total = parts_KDhw.new_zeros(parts_KDhw.shape[1], *(side // patch * finer for side in size))
    seen = torch.zeros_like(total[0])
    for part, (top, left, _, _) in zip(parts_KDhw, places, strict=True):
        first, from_left = top // patch * finer, left // patch * finer
        here = (slice(first, first + grid[0]), slice(from_left, from_left + grid[1]))
        total[:, *here] += part
        seen[here] += 1
    return total / seen
