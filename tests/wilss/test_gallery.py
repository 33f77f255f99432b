"""Tiles of pages, and contact sheets."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from wilss.data.palette import class_look
from wilss.report.gallery import Strip, Tile, tile, tile_side
from wilss.report.pictures import View, gallery
from wilss.report.sheets import contact_sheet, fitted

NOISE = torch.randint(0, 256, (3, 60, 80), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.zeros(120, 160, dtype=torch.uint8)
LABELS[20:80, 20:80], LABELS[:10] = 12, 255


def views(count: int) -> list[View]:
    return [View(NOISE), View(NOISE, LABELS), View()][:count]


def test_a_gallery_has_its_captions_sizes_and_the_classes_that_are_shown() -> None:
    found = gallery(
        "Masks", ["image", "truth", "teacher"], [("a: cat", views(3)), ("b", views(3))], {12: "cat", 13: "dog"}
    )
    assert [look.name for look in found.classes] == ["cat"]
    assert [strip.caption for strip in found.strips] == ["a: cat", "b"]
    image, truth, nothing = found.strips[0].tiles
    assert (image.size, truth.size, nothing.data) == ((80, 60), (320, 240), b"")
    for shown in (image, truth):
        assert Image.open(io.BytesIO(shown.data)).size == shown.size
    again = gallery("Masks", ["image", "truth", "teacher"], [("a: cat", views(3)), ("b", views(3))], {12: "cat"})
    assert again.strips == found.strips, "the same bytes"


def test_one_image_is_large_and_many_tiles_keep_a_page_small() -> None:
    (strip,) = gallery("Masks", ["image", "truth"], [("a", views(2))]).strips
    assert max(strip.tiles[1].size) == 640
    sides = [tile_side(strips, tiles) for strips, tiles in ((1, 9), (8, 40), (10, 80), (10, 170))]
    assert sides == sorted(sides, reverse=True)
    assert [Strip("", (Tile("a"),) * n).columns for n in (1, 4, 6, 7, 9, 13)] == [1, 4, 6, 4, 5, 5]


def test_a_photograph_is_a_jpeg_and_a_drawing_a_png() -> None:
    rough = np.random.default_rng(0).normal(128, 12, (200, 200, 3)).clip(0, 255).astype(np.uint8)
    assert tile("", Image.fromarray(rough)).address.startswith("data:image/jpeg;base64,")
    assert tile("", Image.new("RGB", (200, 200), "red")).address.startswith("data:image/png;base64,")


def test_noise_is_encoded_too() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    assert Image.open(io.BytesIO(tile("", Image.fromarray(noise)).data)).size == (640, 480)


def test_masks_are_drawn_in_the_colour_of_the_legend() -> None:
    shown = View(NOISE, LABELS).drawn(320)
    assert shown is not None
    assert shown.shape == (3, 240, 320)
    rim = shown[:, 100, 41]
    assert tuple(rim.tolist()) == class_look(12).colour
    assert int(shown[:, 5].float().mean()) > int(shown[:, 220].float().mean()), "void is light"
    spread = (shown[:, 200:].float().max(0).values - shown[:, 200:].float().min(0).values).max()
    assert float(spread) == 0, "what is no class is grey"
    own = View(NOISE, LABELS).drawn(320, {12: (1, 2, 3)})
    assert own is not None
    assert tuple(own[:, 100, 41].tolist()) == (1, 2, 3)


def test_huge_masks_are_shrunk_with_their_image() -> None:
    shown = View(NOISE.repeat(1, 20, 20), LABELS.repeat_interleave(10, 0).repeat_interleave(10, 1)).drawn(160)
    assert shown is not None
    assert shown.shape == (3, 120, 160)


@pytest.mark.parametrize(("rows", "side"), [(1, 160), (3, 160)])
def test_a_sheet_has_room_for_its_captions_and_legend(rows: int, side: int) -> None:
    sheet = contact_sheet([views(3)] * rows, ["image", "truth", "teacher"], ["x" * 900] * rows, {12: "cat"})
    assert sheet.width == 32 + 3 * side + 16
    assert sheet.height > rows * 120
    bottom = np.asarray(sheet)[-40:].reshape(-1, 3)
    assert (bottom == class_look(12).colour).all(1).any(), "the legend shows the class"
    right = np.asarray(sheet)[:, -14:]
    assert (right == 255).all(), "no caption runs off the sheet"


def test_a_sheet_of_one_large_image_is_large() -> None:
    large = View(NOISE.repeat(1, 10, 10))
    assert contact_sheet([[large]], ["image"], [""]).width == 32 + 640
    widths = [contact_sheet([[large]] * rows, ["image"], [""] * rows).width - 32 for rows in (2, 11, 31)]
    assert widths == [320, 224, 160], "a sheet of eighty classes is no giant"


def test_texts_are_cut_to_their_width() -> None:
    assert fitted("short", 15, 200) == "short"
    assert fitted("long" * 100, 15, 200).endswith("…")
    assert fitted("long", 15, 0) == "…"
