"""Means of old, new and all classes in the three conventions of the published tables, and what was forgotten.

Imports no torch: pages draw with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Convention = Literal["A", "B", "C"]
CONVENTIONS: dict[Convention, str] = {
    "A": "background left out of old, new and all",
    "B": "background counted among the old classes and in all",
    "C": "background left out of old and new, counted in all (WILSON, FMWISS)",
}


def scoring_title(scoring: str, crop: int | None) -> str:
    """What a confusion matrix was counted on, in words: "full", "crop", or with a further set before it, "voc full".

    Args:
        crop: side of the centre crops.
    """
    part, _, kind = scoring.rpartition(" ")
    title = "full-size images" if kind == "full" else f"{crop} px centre crops"
    return f"{part}: {title}" if part else title


@dataclass(frozen=True)
class Metrics:
    """Mean IoU in [0, 1] of old, new and all classes; NaN where there is no such class."""

    old: float
    new: float
    all: float


def metrics(per_class: Tensor, n_old: int, convention: Convention = "C") -> Metrics:
    """Means in one convention; classes that the truth does not contain (NaN) are left out.

    Args:
        per_class: IoU of background and all classes, in channel order.
        n_old: number of old classes, background not counted; all of them at step 0.
    """
    old, new = per_class[1 : 1 + n_old], per_class[1 + n_old :]
    if convention == "B":
        old = per_class[: 1 + n_old]
    everything = per_class[1:] if convention == "A" else per_class
    return Metrics(*(float(values.nanmean()) for values in (old, new, everything)))


def group_means(per_class: Tensor, sizes: tuple[int, ...]) -> tuple[float, ...]:
    """Mean IoU of the classes of every step, background in none of them; NaN for a step without a scored class."""
    return tuple(float(part.nanmean()) for part in per_class[1:].split(list(sizes)))


def forgetting(per_class: Tensor, base_per_class: Tensor, n_base: int) -> float:
    """Drop of the base classes' mean IoU against the base model, in [-1, 1]; negative when they gained.

    Args:
        per_class: now; base_per_class: of the model of step 0; both with background first.
    """
    return float(base_per_class[1 : 1 + n_base].nanmean() - per_class[1 : 1 + n_base].nanmean())
