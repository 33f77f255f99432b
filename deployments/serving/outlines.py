"""Outlines of masks as polygons along the edges of pixels: what they fill is the mask, pixel by pixel.

COCO's polygons have no holes: several of one object are filled and joined. So a region with a hole is cut along the
upper edge of the hole, all the way through, and its parts are outlined each by itself. They do not overlap, none of
them touches itself, and their areas add up to the number of pixels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Bits = NDArray[np.bool_]
Rows = NDArray[np.int64]


def polygons(mask: Bits) -> list[list[int]]:
    """Polygons ``[x0, y0, x1, y1, ...]`` whose union is a mask ``(H, W)``; (0, 0) is its upper left corner.

    Regions are parts that are connected by the sides of pixels, from the top to the bottom.
    """
    regions, _ = ndimage.label(mask)
    found = []
    for number, box in enumerate(ndimage.find_objects(regions), start=1):
        top, left = box[0].start, box[1].start
        for part, rows, column in _without_holes(regions[box] == number):
            found.append(_outline(part, rows + top, column + left))
    return found


def _without_holes(region: Bits) -> Iterator[tuple[Bits, Rows, int]]:
    """Parts of a connected region that have no holes, the row of each of their edges, and their first column."""
    holes, count = ndimage.label(ndimage.binary_fill_holes(region) & ~region)
    edges = np.arange(region.shape[0] + 1)
    if not count:
        yield region, edges, 0
        return
    cuts = sorted({box[0].start for box in ndimage.find_objects(holes)})
    spread = np.insert(region, cuts, False, axis=0)  # an empty row at each cut, so that nothing connects across
    rows = np.insert(edges, cuts, cuts)
    parts, _ = ndimage.label(spread)
    for number, (down, right) in enumerate(ndimage.find_objects(parts), start=1):
        yield parts[down, right] == number, rows[down.start : down.stop + 1], right.start


def _outline(part: Bits, rows: Rows, column: int) -> list[int]:
    """The one ring around a part without holes: corners are linked along rows and along columns, in turn."""
    padded = np.pad(part, 1).astype(np.int8)
    around = padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]
    y, x = (around % 2 == 1).nonzero()
    beside = _partners(np.arange(len(y)))  # by rows already
    below = _partners(np.lexsort((y, x)))
    ring, at = [], 0
    for _ in range(len(y) // 2):
        ring += [at, beside[at]]
        at = below[beside[at]]
    corners = np.stack([x[ring] + column, rows[y[ring]]], axis=1)
    return [int(value) for value in corners.ravel()]


def _partners(order: NDArray[np.int64]) -> list[int]:
    """Of each corner the other end of its edge: in this order they stand in pairs."""
    found = np.empty(len(order), np.int64)
    found[order[0::2]], found[order[1::2]] = order[1::2], order[0::2]
    return [int(value) for value in found]
