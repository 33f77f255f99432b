"""Outlines of COCO's form: what may be drawn, and how. No torch.

Polygons go through pycocotools once they are known to be harmless; run lengths are read by `run_lengths`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wilss.data.coco import columns as states
from wilss.data.coco.columns import Columns
from wilss.data.coco.run_lengths import filled, lengths_of
from wilss.data.findings import Severity

LONGEST = 2_000_000
"""Pixels along a polygon; pycocotools keeps five points for each."""
BLOCK = 200_000
"""Polygons that are looked at together."""


@dataclass(frozen=True)
class Told:
    """What is wrong with an outline, without the object's name; see `wilss.data.findings.Finding`."""

    severity: Severity
    kind: str
    seen: str
    cure: str


_SKIPPED = "it is passed over; draw its outline, or take it out"
_MEND = "mend it, or take it out"
_TOLD = {
    states.MISSING: Told("warn", "coco-no-outline", "without a segmentation", _SKIPPED),
    states.EMPTY: Told("warn", "coco-no-outline", "with an empty segmentation", _SKIPPED),
    states.FLAT: Told("warn", "coco-flat-outline", "with no polygon of three points that span an area", _SKIPPED),
    states.NO_NUMBERS: Told("refuse", "coco-outline", "whose segmentation is no list of lists of numbers", _MEND),
    states.ODD: Told("refuse", "coco-outline", "with a polygon of an odd number of coordinates", _MEND),
    states.NO_RUNS: Told("refuse", "coco-outline", "whose run lengths cannot be read", _MEND),
    states.FAR: Told(
        "refuse", "coco-outline", "with coordinates that are no numbers, or far outside of the image", _MEND
    ),
    states.WINDING: Told("refuse", "coco-outline", f"whose outline is longer than {LONGEST} pixels", _MEND),
    states.OTHER_SIZE: Told("refuse", "coco-other-size", "of another image's size", _MEND),
    states.NO_CROWD: Told("refuse", "coco-crowd", "whose iscrowd is neither 0 nor 1", _MEND),
}
_BOX = Told("warn", "coco-no-outline", "that has a box only", _SKIPPED)
_PART = Told("note", "coco-flat-part", "with a polygon of fewer than three points", "that part is passed over")


def judge(columns: Columns, sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """State of every object, with what can be told only by the size of its image.

    Args:
        sizes: height and width by image position, ``(images + 1, 2)``; 0 for one that cannot be used.
    """
    found = np.frombuffer(bytes(columns.state), np.uint8).copy()
    size = sizes[np.asarray(columns.image, np.int64)]
    for number, runs in columns.runs.items():
        if found[number] == states.RUNS and runs.size != tuple(size[number]):
            found[number] = states.OTHER_SIZE
    to = np.asarray(columns.to, np.int64)
    counts = to - np.concatenate([np.zeros(1, np.int64), to[:-1]])[: len(to)]
    owner = np.repeat(np.arange(len(counts)), counts)
    ends = np.asarray(columns.ends, np.int64)
    points = np.frombuffer(columns.points, np.float64) if len(columns.points) else np.zeros(0)
    spans, long = np.zeros(len(counts), np.int64), np.zeros(len(counts))
    for start in range(0, len(ends), BLOCK):
        part = slice(start, start + BLOCK)
        _judge_polygons(points, ends, part, owner[part], size, found, spans, long)
    found[(found == states.POLYGONS) & (spans == 0)] = states.FLAT
    found[(found == states.POLYGONS) & (long > LONGEST)] = states.WINDING
    return found


def tell(columns: Columns, number: int, found: NDArray[np.uint8]) -> Told | None:
    """What is wrong with an object's outline. found: of `judge`."""
    state = int(found[number])
    if state == states.RUNS:
        return _TOLD[states.NO_RUNS] if _lengths(columns, number) is None else None
    if state in (states.MISSING, states.EMPTY) and number in columns.boxes:
        return _BOX
    return _PART if state == states.POLYGONS and number in columns.parts else _TOLD.get(state)


def draw(columns: Columns, number: int, size: tuple[int, int], found: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """Pixels of an object, ``(H, W)``; None for one that cannot be drawn."""
    state = int(found[number])
    if state == states.RUNS:
        lengths = _lengths(columns, number)
        return None if lengths is None else filled(lengths, size)
    return _polygons(columns.polygons(number), size) if state == states.POLYGONS else None


def area_of(columns: Columns, number: int, mask: NDArray[np.bool_]) -> float:
    """Area of an object: as written, else its pixels."""
    area = columns.area[number]
    return float(mask.sum()) if area != area else area


def _judge_polygons(
    points: NDArray[np.float64],
    ends: NDArray[np.int64],
    part: slice,
    owner: NDArray[np.int64],
    size: NDArray[np.int64],
    found: NDArray[np.uint8],
    spans: NDArray[np.int64],
    long: NDArray[np.float64],
) -> None:
    """Look at some polygons; ``found``, ``spans`` (polygons with an extent, by object) and ``long`` take it up."""
    last = ends[part]
    first = np.concatenate([ends[part.start - 1 : part.start] if part.start else np.zeros(1, np.int64), last[:-1]])
    block = points[first[0] : last[-1]].reshape(-1, 2)
    at = (first - first[0]) // 2
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = np.minimum.reduceat(block, at), np.maximum.reduceat(block, at)
        side = size[owner][:, ::-1]  # x is measured by the width
        near = ((low >= -side) & (high <= 2 * side)).all(1)  # not-a-number compares as false
        step = np.abs(np.diff(block, axis=0, append=block[-1:]))
        step[at[1:] - 1] = np.abs(block[at[1:] - 1] - block[at[:-1]])  # back to where the polygon begins
        step[-1] = np.abs(block[-1] - block[at[-1]])
        length = np.add.reduceat(step.max(1), at)
    found[owner[(found[owner] == states.POLYGONS) & ~near]] = states.FAR
    np.add.at(long, owner[near], length[near])
    np.add.at(spans, owner[~near | (low < high).all(1)], 1)


def _polygons(polygons: list[NDArray[np.float64]], size: tuple[int, int]) -> NDArray[np.bool_]:
    from pycocotools import mask as native

    drawn = native.merge(native.frPyObjects([polygon.tolist() for polygon in polygons], *size))
    return np.asarray(native.decode(drawn)).astype(bool)


def _lengths(columns: Columns, number: int) -> NDArray[np.int64] | None:
    runs = columns.runs[number]
    return lengths_of(runs.counts, runs.size)
