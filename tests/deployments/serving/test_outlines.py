"""Outlines fill the mask exactly, whatever it looks like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from deployments.serving.outlines import polygons

MASKS = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda size: arrays(bool, size))


def area(ring: list[int]) -> float:
    x, y = np.array(ring[0::2]), np.array(ring[1::2])
    return abs(int((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())) / 2


def filled(rings: list[list[int]], size: tuple[int, int]) -> np.ndarray:
    """As COCO's own tools fill and join them."""
    if not rings:
        return np.zeros(size, bool)
    runs = coco.frPyObjects([[float(value) for value in ring] for ring in rings], *size)
    return np.asarray(coco.decode(coco.merge(runs))).astype(bool)


@given(MASKS)
def test_what_they_fill_is_the_mask_and_none_overlaps_another(mask: np.ndarray) -> None:
    rings = polygons(mask)
    assert (filled(rings, mask.shape) == mask).all()
    assert sum(map(area, rings)) == mask.sum()


@given(MASKS)
def test_none_touches_itself_and_all_run_along_pixels(mask: np.ndarray) -> None:
    for ring in polygons(mask):
        corners = list(zip(ring[0::2], ring[1::2], strict=True))
        assert len(set(corners)) == len(corners) >= 4
        for (x, y), (u, v) in zip(corners, [*corners[1:], corners[0]], strict=True):
            assert (x == u) != (y == v)
        assert all(type(value) is int for value in ring)


def test_a_square_has_four_corners() -> None:
    mask = np.zeros((6, 8), bool)
    mask[1:4, 2:7] = True
    (ring,) = polygons(mask)
    assert sorted(zip(ring[0::2], ring[1::2], strict=True)) == [(2, 1), (2, 4), (7, 1), (7, 4)]


@pytest.mark.parametrize("holes", [[(3, 3)], [(2, 2), (2, 5), (5, 3)], [(1, 1), (3, 3), (5, 5), (7, 7)]])
def test_a_hole_stays_open(holes: list[tuple[int, int]]) -> None:
    """Filled outlines of the outer edge alone would close it."""
    mask = np.ones((9, 9), bool)
    for y, x in holes:
        mask[y, x] = False
    rings = polygons(mask)
    assert len(rings) > 1
    assert (filled(rings, mask.shape) == mask).all()


def test_an_island_in_a_hole_is_there() -> None:
    mask = np.ones((9, 9), bool)
    mask[2:7, 2:7] = False
    mask[4, 4] = True
    rings = polygons(mask)
    assert (filled(rings, mask.shape) == mask).all()
    assert sum(map(area, rings)) == mask.sum()


def test_nothing_has_no_outline() -> None:
    assert polygons(np.zeros((3, 4), bool)) == []
