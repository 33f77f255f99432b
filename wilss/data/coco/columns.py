"""Annotations of COCO's form as columns: a few numbers an object instead of a mapping. No torch."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

POLYGONS, RUNS, MISSING, EMPTY, FLAT, NO_NUMBERS, ODD, NO_RUNS, FAR, WINDING, OTHER_SIZE, NO_CROWD = range(12)
"""What is known of an object's outline: the first two can be drawn, the others say why it cannot."""


@dataclass(frozen=True)
class Runs:
    """Run lengths as they stand in the file: ``counts`` is a list or COCO's compressed text; size is (height, width).

    Nothing of ``counts`` has been looked at.
    """

    counts: list[Any] | str
    size: tuple[int, int]


def key_of(value: Any) -> str | None:
    """An id as text, so that 7, 7.0 and "7" are one; None for what is no id."""
    if type(value) is int:
        return str(value) if -(10**18) < value < 10**18 else None
    if type(value) is float and value.is_integer() and abs(value) < 10**15:
        return str(int(value))
    return value if type(value) is str and 0 < len(value) <= 1000 else None


@dataclass
class Columns:
    """Objects in the order of the file; all columns but ``ends`` and ``points`` have one entry each.

    image, category: position of their id in ``keys_of_images`` and ``keys_of_categories``, -1 for none.
    area: not a number where there is none. state: one of the constants above.
    to: end of the object's polygons in ``ends``; ends: end of each polygon in ``points``, x and y in turn.
    parts: objects of which a flat part was left out. boxes: of objects without an outline,
    left, top, width and height.
    """

    ids: list[Any] = field(default_factory=list)
    image: array[int] = field(default_factory=lambda: array("q"))
    category: array[int] = field(default_factory=lambda: array("q"))
    area: array[float] = field(default_factory=lambda: array("d"))
    crowd: bytearray = field(default_factory=bytearray)
    state: bytearray = field(default_factory=bytearray)
    to: array[int] = field(default_factory=lambda: array("q"))
    ends: array[int] = field(default_factory=lambda: array("q"))
    points: array[float] = field(default_factory=lambda: array("d"))
    runs: dict[int, Runs] = field(default_factory=dict)
    parts: list[int] = field(default_factory=list)
    boxes: dict[int, tuple[float, ...]] = field(default_factory=dict)
    keys_of_images: dict[str, int] = field(default_factory=dict)
    keys_of_categories: dict[str, int] = field(default_factory=dict)

    def add(self, record: dict[str, Any]) -> None:
        """Take one annotation; whatever it holds, nothing is raised."""
        self.ids.append(record.get("id"))
        self.image.append(_position(self.keys_of_images, record.get("image_id")))
        self.category.append(_position(self.keys_of_categories, record.get("category_id")))
        self.area.append(_area(record.get("area")))
        crowd = record.get("iscrowd")
        self.crowd.append(1 if crowd in (1, True) else 0)
        state = self._outline(record.get("segmentation"))
        if state in (MISSING, EMPTY, FLAT) and (box := _box(record.get("bbox"))):
            self.boxes[len(self.state)] = box
        self.state.append(state if crowd is None or crowd in (0, 1) else NO_CROWD)
        self.to.append(len(self.ends))

    def polygons(self, number: int) -> list[NDArray[np.float64]]:
        """Polygons of an object, x and y in turn."""
        first = self.to[number - 1] if number else 0
        begins = [self.ends[k - 1] if k else 0 for k in range(first, self.to[number])]
        return [np.array(self.points[begin : self.ends[first + k]], np.float64) for k, begin in enumerate(begins)]

    def _outline(self, given: Any) -> int:
        if given is None:
            return MISSING
        if type(given) is dict:
            return self._run_lengths(given) if given else EMPTY
        if type(given) is not list:
            return NO_NUMBERS
        if not given:
            return EMPTY
        polygons = given if type(given[0]) is list else [given]  # one polygon that was not nested
        before, points, state, flat = len(self.ends), len(self.points), FLAT, False
        for polygon in polygons:
            size = len(polygon) if type(polygon) is list else 1
            try:
                self.points.fromlist(polygon)
            except (TypeError, OverflowError):
                state, size = NO_NUMBERS, 0
            if size % 2:
                state = ODD
            if state in (NO_NUMBERS, ODD):
                del self.ends[before:], self.points[points:]
                return state
            if size < 6:
                flat = True
                del self.points[len(self.points) - size :]
                continue
            self.ends.append(len(self.points))
            state = POLYGONS
        if flat and state == POLYGONS:
            self.parts.append(len(self.state))
        return state

    def _run_lengths(self, given: dict[str, Any]) -> int:
        counts, size = given.get("counts"), given.get("size")
        if not isinstance(counts, list | str) or not isinstance(size, list) or len(size) != 2:
            return NO_RUNS
        if not all(type(n) is int and 0 < n < 10**6 for n in size):
            return NO_RUNS
        self.runs[len(self.state)] = Runs(counts, (size[0], size[1]))
        return RUNS


def _position(keys: dict[str, int], value: Any) -> int:
    key = str(value) if type(value) is int and 0 <= value < 10**18 else key_of(value)
    return -1 if key is None else keys.setdefault(key, len(keys))


def _box(value: Any) -> tuple[float, ...] | None:
    """Left, top, width and height of a box that spans an area; None for anything else."""
    if not isinstance(value, list) or len(value) != 4 or not all(type(n) in (int, float) for n in value):
        return None
    return tuple(map(float, value)) if all(abs(n) < 1e6 for n in value) and value[2] > 0 < value[3] else None


def _area(value: Any) -> float:
    """An area above 0, else not a number: it is counted then."""
    if type(value) in (int, float) and 0 < value < 1e15:
        return float(value)
    return float("nan")
