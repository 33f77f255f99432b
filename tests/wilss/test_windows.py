"""Windows over large images."""

from __future__ import annotations

import pytest
import torch

from wilss.errors import SpecError
from wilss.foundation.windows import boxes, joined, require_windows


def test_windows_cover_the_image_and_end_at_its_border() -> None:
    found = boxes(40, 24, 16, 16)
    assert found == [(0, 0, 16, 16), (0, 8, 16, 16), (16, 0, 16, 16), (16, 8, 16, 16), (24, 0, 16, 16), (24, 8, 16, 16)]
    for height, width, window, step in [(64, 64, 32, 16), (72, 40, 32, 24), (16, 200, 32, 8)]:
        seen = torch.zeros(height, width)
        for top, left, h, w in boxes(height, width, window, step):
            assert top + h <= height
            assert left + w <= width
            seen[top : top + h, left : left + w] += 1
        assert bool((seen > 0).all())


def test_an_image_that_is_smaller_than_the_window_is_taken_whole() -> None:
    assert boxes(24, 32, 48, 16) == [(0, 0, 24, 32)]
    assert boxes(24, 64, 32, 32) == [(0, 0, 24, 32), (0, 32, 24, 32)]  # one side is


@pytest.mark.parametrize("finer", [1, 2])
def test_cells_are_the_mean_of_all_windows_that_see_them(finer: int) -> None:
    torch.manual_seed(0)
    patch, size = 8, (40, 24)
    places = boxes(*size, 16, 8)
    parts = torch.randn(len(places), 3, 2 * finer, 2 * finer)
    found = joined(parts, places, size, patch)
    assert found.shape == (3, 5 * finer, 3 * finer)
    cell = patch // finer
    for row in range(5 * finer):
        for column in range(3 * finer):
            values = []
            for part, (top, left, h, w) in zip(parts, places, strict=True):
                y, x = row * cell - top, column * cell - left
                if 0 <= y < h and 0 <= x < w:
                    values.append(part[:, y // cell, x // cell].double())
            expected = torch.stack(values).mean(0)
            torch.testing.assert_close(found[:, row, column].double(), expected, atol=1e-6, rtol=1e-5)


def test_a_grid_that_does_not_fit_the_cells_is_resized() -> None:
    places = boxes(32, 32, 16, 16)
    assert joined(torch.ones(4, 1, 3, 3), places, (32, 32), 8).shape == (1, 8, 8)  # 3 cells to 16 px: two a patch
    assert joined(torch.ones(4, 1, 1, 1), places, (32, 32), 8).shape == (1, 4, 4)


def test_windows_in_cells() -> None:
    assert require_windows(None, None, 16) is None
    assert require_windows(224, None, 16) == (224, 112)
    assert require_windows(224, 64, 16) == (224, 64)
    assert require_windows(42, None, 14) == (42, 14)  # half of three cells
    assert require_windows(32, None, 32) == (32, 32)
    with pytest.raises(SpecError, match=r"foundation.window is 225 px, and the scorer's cells have 16 px.*take 224"):
        require_windows(225, None, 16)
    with pytest.raises(SpecError, match=r"foundation.stride is 3 px.*take 16"):
        require_windows(224, 3, 16)
