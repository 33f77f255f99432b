"""Masks become a data folder: colours with a table, numbers, palettes in another order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.wilss.bringing import COLOURS, counts, ids, kinds, picture, source
from wilss.data.bring.build import build
from wilss.data.bring.maps import numbered, read_map
from wilss.data.bring.masks import from_masks
from wilss.errors import DataError

WORDS = (("bg", 0), ("cat", 1), ("guinea pig", 2), ("void", 255))

TABLES = {
    "labelmap.txt": "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\n"
    "guinea pig:51,221,255::\nvoid:9,9,9::\n",
    "colours.csv": "name,r,g,b\nbackground,0,0,0\ncat,250,50,83\nguinea pig,51,221,255\nvoid,9,9,9\n",
    "colours.json": json.dumps({name: COLOURS[k] for name, k in WORDS}),
    "list.json": json.dumps([{"name": name, "color": COLOURS[k]} for name, k in WORDS]),
}


@pytest.mark.parametrize("name", TABLES)
def test_masks_of_colours(tmp_path: Path, name: str) -> None:
    for image in ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"):
        picture(tmp_path / "images" / image)
    coloured = np.zeros((9, 10, 3), np.uint8)
    for value, colour in COLOURS.items():
        coloured[ids() == value] = colour
    masks = tmp_path / "masks"
    masks.mkdir()
    Image.fromarray(coloured).save(masks / "a.png")
    Image.fromarray(coloured).quantize(16).save(masks / "b.jpg.png")  # ids are permuted, colours are kept
    Image.fromarray(coloured).save(masks / "c.jpg", quality=60)
    coloured[0, 9] = (1, 2, 3)
    Image.fromarray(coloured).save(masks / "d_mask.PNG")
    Image.fromarray(coloured).save(masks / "nobody.png")
    (tmp_path / name).write_text(TABLES[name])
    batch = from_masks(masks, tmp_path / "images", read_map(tmp_path / name))
    brought = build(batch, tmp_path / "out")
    found = source(brought)
    assert found.classes == ("cat", "guinea pig")
    for image_id in ("a", "b"):
        assert np.array_equal(found.mask(image_id).numpy(), ids())
    assert kinds(brought) == {"mask": 2, "no-mask": 1, "mask-without-image": 1}
    told = [finding.seen for finding in brought.findings if finding.kind == "mask"]
    assert any("holds the colour (1, 2, 3) in 1 pixels" in seen for seen in told)
    assert any(seen.startswith("is a JPEG, which does not keep class ids") for seen in told), told


def test_a_table_without_black_is_told_as_the_reason(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    for name in "ab":
        picture(tmp_path / f"images/{name}.jpg")
        Image.fromarray(np.stack([250 * (ids() == 1)] * 3, -1).astype(np.uint8)).save(tmp_path / f"masks/{name}.png")
    picture(tmp_path / "images/bare.jpg")
    (tmp_path / "t.csv").write_text("name,r,g,b\ncat,250,250,250\n")
    batch = from_masks(tmp_path / "masks", tmp_path / "images", read_map(tmp_path / "t.csv"))
    told = (
        r"none of 3 images can be placed: .*a.png' holds the colour \(0, 0, 0\) in 81 pixels.*not name; .* \(1 more of"
    )
    with pytest.raises(DataError, match=told):
        build(batch, tmp_path / "out")


def test_masks_of_numbers_up_to_16_bits(tmp_path: Path) -> None:
    for image in ("a.jpg", "b.jpg", "c.jpg"):
        picture(tmp_path / "images" / image)
    masks = tmp_path / "masks"
    masks.mkdir()
    wide = ids().astype(np.uint16)
    Image.fromarray(np.where(wide == 2, 3000, wide).astype(np.uint16)).save(masks / "a.png")
    Image.fromarray(ids()).save(masks / "b.png")
    (tmp_path / "ids.csv").write_text("name,id\nunlabeled,255\ncat,1\ndog,3000\n")
    brought = build(from_masks(masks, tmp_path / "images", read_map(tmp_path / "ids.csv")), tmp_path / "out")
    assert np.array_equal(source(brought).mask("a").numpy(), ids())
    assert kinds(brought) == {"mask": 1, "no-mask": 1}  # the number 2 of b stands for nothing
    brought = build(from_masks(masks, tmp_path / "images", numbered(("cat", "dog"))), tmp_path / "second")
    assert np.array_equal(source(brought).mask("b").numpy(), ids())
    assert any("the number 3000 in 20 pixels" in finding.seen for finding in brought.findings)


def test_masks_of_numbers_whose_palette_has_another_order_are_read_by_their_colours(tmp_path: Path) -> None:
    """c says what most say, its indices exchanged; d and h have a colour that nothing tells the class of."""
    red, green = (200, 10, 10), (10, 200, 10)
    masks = tmp_path / "masks"
    masks.mkdir()
    odd = {"c": (green, red), "d": ((1, 2, 3), green), "h": (green, (0, 0, 0))}
    for name, colours in {**dict.fromkeys("abefgijk", (red, green)), **odd}.items():
        picture(tmp_path / f"images/{name}.jpg")
        values = np.where(ids() == 255, 0, ids())
        mask = Image.fromarray(np.where(values > 0, 3 - values, 0).astype(np.uint8) if name == "c" else values)
        mask.putpalette([0, 0, 0, *colours[0], *colours[1]])
        mask.save(masks / f"{name}.png")
    brought = build(from_masks(masks, tmp_path / "images", numbered(("cat", "dog"))), tmp_path / "out")
    found = source(brought)
    assert [counts(found, name) for name in "abcefgijk"] == [{0: 61, 1: 9, 2: 20}] * 9
    assert np.array_equal(found.mask("c").numpy(), found.mask("a").numpy())
    assert kinds(brought) == {"mask": 2}
    told = {Path(finding.where).name: finding.seen for finding in brought.findings}
    assert set(told) == {"c.png", "d.png", "h.png"}
    assert "is read by its colours" in told["c.png"]
    assert "has the colour (0, 0, 0) at index 2, which is background by" in told["h.png"]
    assert "has the colour (1, 2, 3) at index 1, which is no class" in told["d.png"]


@pytest.mark.parametrize(
    "text",
    [
        "name,r,g,b\ncat,1,2\n",
        "name,r,g,b\ncat,1,2,300\n",
        "name,id\ncat,x\n",
        "name,id\ncat,1\ndog,1\n",
        "name,id\ncat,-1\n",
    ],
)
def test_tables_of_pixels_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=r"t.csv(:2)?' (holds|gives|is no table)"):
        read_map(tmp_path / "t.csv")
