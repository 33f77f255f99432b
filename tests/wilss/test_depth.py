"""Images of other depths than eight bits are scaled to what they show; one that stays dark is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.wilss.odd_files import Array, corner, folder, in_palette, opened, told
from tests.wilss.test_mask_reading import grey_png
from wilss.data.files import read_rgb
from wilss.errors import DataError

GREY = np.arange(240, dtype=np.uint8).reshape(12, 20)


@pytest.mark.parametrize(
    ("values", "suffix"),
    [
        (GREY.astype(np.uint16) * 257, "png"),
        (GREY.astype(np.uint16) * 257, "tif"),
        (GREY.astype(np.float32) / 255, "tif"),
        (GREY.astype(np.float32), "tif"),
        (GREY.astype(np.int32), "tif"),
        (GREY.astype(np.int32) * 257, "tif"),
        (GREY, "png"),
    ],
)
def test_deep_images_show_what_they_hold(tmp_path: Path, values: Array, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(values).save(path)
    found = read_rgb(path).numpy()
    assert found.shape == (3, 12, 20)
    assert np.abs(found[0].astype(int) - GREY).max() <= 1


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_reach_white(tmp_path: Path, bits: int) -> None:
    grey_png(tmp_path / "a.png", corner(value=2**bits - 1), bits)
    assert read_rgb(tmp_path / "a.png").unique().tolist() == [0, 255]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((4, 4), np.nan, np.float32), "it holds values that are no brightness"),
        (np.full((4, 4), -3, np.int32), "it holds values that are no brightness"),
        (np.full((4, 4), 1e6, np.float32), r"it holds values from 1e\+06 to 1e\+06; save it with 8 or 16 bits"),
    ],
)
def test_values_that_no_image_has_are_refused(tmp_path: Path, values: Array, message: str) -> None:
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=rf"a.tif' cannot be decoded as an image \({message}"):
        read_rgb(tmp_path / "a.tif")


def test_twelve_bits_in_sixteen_are_told(tmp_path: Path) -> None:
    root = folder(tmp_path / "f", {"a": in_palette(corner())}, "a,cat\n")
    Image.fromarray(GREY.astype(np.uint16) * 16).save(root / "images" / "dark.tif")
    Image.fromarray(GREY.astype(np.uint16) * 257).save(root / "images" / "light.tif")
    (line,) = told(opened(root), "warn")
    assert "dark.tif' is nearly black: its brightest value is 15 of 255, as where 12 bits are stored in 16" in line
