"""What is asked of the rows of a label set: which of them, in which order. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from wilss.errors import SpecError, did_you_mean

STATES = ("unreviewed", "accepted", "rejected", "absent", "corrected", "flagged")
"""flagged: rejected, absent, noted, or of an image that is noted or lacks a class."""
SIZES: Mapping[str, tuple[float, float]] = {"small": (0.0, 0.02), "medium": (0.02, 0.15), "large": (0.15, 1.01)}
"""Share of the image that a mask covers: from, and below."""
IMAGE = "image"
"""Sorts by the place of the image in the set."""


@dataclass(frozen=True)
class Query:
    """Which rows are meant; what is left empty allows all.

    classes: names. states: of `STATES`. sizes: of `SIZES`. text: part of the image id, in any case. ranges: column ->
    lowest and highest value, both inside; rows whose value is not known are outside. sort: a column, or `IMAGE`; rows
    whose value is not known come last in either direction.
    """

    classes: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    text: str = ""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    sort: str = "score"
    descending: bool = False

    def require(self, classes: Sequence[str], columns: Iterable[str]) -> None:
        """Raise SpecError for a class, state, size or column that there is none of."""
        known = tuple(columns)
        _require("class", self.classes, classes)
        _require("state", self.states, STATES)
        _require("size", self.sizes, SIZES)
        _require("column", self.ranges, known)
        _require("order", (self.sort,), (*known, IMAGE))

    def without_range(self, column: str) -> Query:
        """The same without the range of a column."""
        return replace(self, ranges={name: limits for name, limits in self.ranges.items() if name != column})


def _require(what: str, named: Iterable[str], known: Iterable[str]) -> None:
    there = tuple(known)
    for name in named:
        if name not in there:
            raise SpecError(f"there is no {what} '{name[:80]}' in this label set.{did_you_mean(name, there)}")
