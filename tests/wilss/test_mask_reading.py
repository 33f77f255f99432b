"""Masks in all the ways they are stored: the same ids, or a refusal that says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.flows.test_cli import voc_folder
from tests.wilss.odd_files import Array, corner, folder, in_palette, noise, opened, told
from wilss.data.colours import read_labelmap, voc_table
from wilss.data.files import read_mask
from wilss.data.gate import examine
from wilss.data.looks import MaskLook
from wilss.data.mask_reading import reading_of
from wilss.data.palette import Colour, palette
from wilss.data.rules import BINARY
from wilss.data.voc import VocSource
from wilss.errors import DataError

OWN_COLOURS = [10, 20, 30, 200, 10, 10, 10, 200, 10, 10, 10, 200]
"""Of background and three classes."""


def three() -> Array:
    """Ids 0, 1, 2 and void."""
    mask = corner()
    mask[20:28, 20:30] = 2
    mask[30:] = 255
    return mask


def permuted(mask: Array) -> Image.Image:
    """As an image editor writes it: the colours are right, their order is another."""
    order = {0: 3, 1: 2, 2: 1, 255: 0}
    colours = palette()
    moved = [0] * 12
    for value, index in order.items():
        moved[3 * index : 3 * index + 3] = colours[3 * value : 3 * value + 3]
    return in_palette(np.vectorize(order.get)(mask), moved)


FORMS = {
    "palette": in_palette(three()),
    "grey": Image.fromarray(three()),
    "wide": Image.fromarray(three().astype(np.uint16)),
    "int": Image.fromarray(three().astype(np.int32)),
    "la": Image.merge("LA", (Image.fromarray(three()), Image.new("L", (40, 32), 255))),
    "rgb": in_palette(three()).convert("RGB"),
    "rgba": in_palette(three()).convert("RGBA"),
    "permuted": permuted(three()),
}


@pytest.mark.parametrize("form", [form for form in FORMS if form != "int"])
def test_one_mask_in_many_encodings(tmp_path: Path, form: str) -> None:
    root = folder(tmp_path / "f", {"a": FORMS["palette"], "b": FORMS[form]}, "a,cat;dog\nb,cat;dog\n")
    source = opened(root)
    assert torch.equal(source.mask("b"), torch.from_numpy(three()))
    assert not told(source, "refuse")
    assert bool([line for line in told(source, "note") if "b.png" in line]) == (form in ("rgb", "rgba", "permuted"))


def test_wide_values_are_read_from_tiff_too(tmp_path: Path) -> None:
    FORMS["int"].save(tmp_path / "a.tif")
    assert torch.equal(read_mask(tmp_path / "a.tif"), torch.from_numpy(three()))
    Image.fromarray(three().astype(np.float32)).save(tmp_path / "b.tif")
    assert torch.equal(read_mask(tmp_path / "b.tif"), torch.from_numpy(three()))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_keep_their_ids(tmp_path: Path, bits: int) -> None:
    ids = corner() if bits == 1 else corner(value=3)
    in_palette(ids).save(tmp_path / "p.png", bits=bits)
    assert torch.equal(read_mask(tmp_path / "p.png"), torch.from_numpy(ids))
    grey_png(tmp_path / "g.png", ids, bits)
    assert torch.equal(read_mask(tmp_path / "g.png"), torch.from_numpy(ids))


def grey_png(path: Path, ids: Array, bits: int) -> None:
    """A grey PNG of few bits, which Pillow reads and does not write."""
    import struct
    import zlib

    packed = np.packbits(np.unpackbits(ids[..., None], axis=2)[..., 8 - bits :].reshape(len(ids), -1), axis=1)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], bits, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (Image.fromarray(corner().astype(np.uint16) * 300), "holds the value 300; class ids go from 0 to 254"),
        (Image.fromarray(corner(value=9)), "holds the value 9; allowed are 0 .*, 1 to 3"),
        (Image.fromarray(np.dstack([corner() * 7, corner(), corner()])), "has mode RGB and 2 colours, of which"),
        (Image.merge("LA", (Image.fromarray(corner()), Image.fromarray(corner()))), "is partly transparent"),
        (Image.fromarray(corner()[1:]), r"is \(32, 40\) but its mask is \(31, 40\) \(height, width\); they must"),
    ],
)
def test_masks_that_cannot_be_read_are_refused(tmp_path: Path, mask: Image.Image, message: str) -> None:
    root = folder(tmp_path / "f", {"a": mask}, "a,cat\n", {"a": noise()})
    with pytest.raises(DataError, match=message):
        opened(root).mask("a")
    with pytest.raises(DataError, match=message):
        opened(root).check()


def test_a_jpeg_is_no_mask(tmp_path: Path) -> None:
    root = folder(tmp_path / "f", {}, "a,cat\n", {"a": noise()})
    Image.fromarray(corner()).save(root / "masks" / "a.jpg")
    assert ["is a JPEG, which does not keep class ids" in line for line in told(opened(root), "refuse")] == [True]


def test_palettes_of_a_folder_must_agree(tmp_path: Path) -> None:
    same = {name: in_palette(corner(value=1), OWN_COLOURS) for name in "abc"}
    other = in_palette(corner(value=1), [10, 20, 30, 10, 200, 10, 200, 10, 10])  # index 1 has the colour of class 2
    several = in_palette(corner(value=2), OWN_COLOURS)
    root = folder(tmp_path / "known", {**same, "d": several, "x": other}, "")
    assert opened(root).mask("x").unique().tolist() == [0, 2]
    assert ["x.png" in line for line in told(opened(root), "note")] == [True]
    odd = in_palette(corner(value=1), [10, 20, 30, 1, 1, 1])
    root = folder(tmp_path / "odd", {**same, "x": odd}, "")
    with pytest.raises(
        DataError, match=r"x.png' has the colour \(1, 1, 1\) at index 1, which is no class by the folder"
    ):
        opened(root).mask("x")
    root = folder(tmp_path / "two", {"a": same["a"], "x": odd}, "")
    assert len(told(opened(root), "refuse")) == 2  # nobody knows which is right
    empty = in_palette(corner(value=3), OWN_COLOURS[:9])  # a palette without an entry tells nothing
    root = folder(tmp_path / "empty", {**same, "x": empty}, "")
    assert opened(root).mask("x").unique().tolist() == [0, 3]


def test_a_colour_at_another_index_of_few_masks_is_noticed(tmp_path: Path) -> None:
    both = corner(value=1)
    both[20:28, 20:30] = 2
    red, green = (128, 0, 0), (0, 128, 0)
    usual = in_palette(both, [0, 0, 0, *red, *green])
    moved = in_palette(corner(value=3), [0, 0, 0, *[9] * 6, *red])  # no other mask has this index
    source = opened(folder(tmp_path / "many", {**dict.fromkeys("abcdef", usual), "x": moved}))
    assert [source.mask(name).unique().tolist() for name in "ax"] == [[0, 1, 2], [0, 1]]
    assert ["x.png" in line for line in told(source, "note")] == [True]
    source = opened(folder(tmp_path / "two", {"a": usual, "x": moved}))
    assert len(told(source, "refuse")) == 2  # nobody knows which is right
    other = in_palette(both, [0, 0, 0, *green, *red])
    source = opened(
        folder(tmp_path / "own", {**dict.fromkeys("abcdef", other), "x": in_palette(corner(), [0] * 3 + [*red])})
    )
    assert any("x.png" in line for line in told(source, "refuse"))


RED, GREEN, BLACK = (128, 0, 0), (0, 128, 0), (0, 0, 0)


@pytest.mark.parametrize(
    ("index", "colour", "message"),
    [
        (5, BLACK, r"has the colour \(0, 0, 0\) at index 5, which is background by VOC's colours; save it"),
        (5, None, "has no colour at index 5, which is no class by VOC's colours"),
        (255, RED, r"has the colour \(128, 0, 0\) at index 255, which is 1 by VOC's colours"),
        (255, (9, 9, 9), ""),
        (255, BLACK, ""),
        (255, None, ""),
    ],
)
def test_an_index_that_a_moved_palette_does_not_tell(index: int, colour: Colour | None, message: str) -> None:
    shown = {0: BLACK, 1: GREEN, 2: RED} | ({index: colour} if colour else {})
    look = MaskLook((1, 9), "P", {0: 4, 1: 2, 2: 1, index: 2}, palette=shown)
    reading = reading_of(look, voc_table(), strict=True)
    assert re.match(message, reading.problem) if message else not reading.problem
    if not message:
        assert reading.values(look) == {0: 4, 2: 2, 1: 1, 255: 2}


def test_a_used_black_entry_of_a_moved_palette_is_refused_by_name(tmp_path: Path) -> None:
    both, moved = corner(value=1), corner(value=3)
    both[20:28, 20:30] = 2
    moved[20:28, 20:30], moved[:, -3:] = 1, 5
    usual, odd = in_palette(both, [*BLACK, *RED, *GREEN]), in_palette(moved, [*BLACK, *GREEN, *[9] * 3, *RED, *[0] * 6])
    source = opened(folder(tmp_path / "f", {**dict.fromkeys("abcdef", usual), "x": odd}))
    (line,) = told(source, "refuse")
    assert "x.png' has the colour (0, 0, 0) at index 5, which is background by the folder's other masks" in line
    with pytest.raises(DataError, match="at index 5"):
        source.mask("x")


def test_a_palette_that_gives_classes_one_colour_tells_nothing_of_them(tmp_path: Path) -> None:
    both = corner(value=2)
    both[20:28, 20:30] = 3  # of one colour
    masks = {"a": in_palette(both, OWN_COLOURS), "b": in_palette(corner(value=3), OWN_COLOURS)}
    source = opened(folder(tmp_path / "f", masks))
    assert source.mask("b").unique().tolist() == [0, 3]
    assert not told(source, "refuse")


def test_voc_masks_whose_palette_was_rewritten(tmp_path: Path) -> None:
    root = voc_folder(tmp_path / "voc")
    before = VocSource(root, eval_list="dev")
    masks = {i: before.mask(i) for i in before.ids("train")}
    for path in (root / "SegmentationClassAug").iterdir():
        Image.open(path).convert("RGB").quantize(4).save(path)
    after = VocSource(root, eval_list="dev")
    assert all(torch.equal(after.mask(i), mask) for i, mask in masks.items())
    assert (after.tags("train"), after.tags("eval")) == (before.tags("train"), before.tags("eval"))
    path = root / "SegmentationClassAug" / "2007_000000.png"
    in_palette(corner(40, 48, 3), OWN_COLOURS).save(path)
    assert [str(path) in line for line in told(VocSource(root, eval_list="dev"), "refuse")] == [True]


LABELMAP = "# label:color_rgb:parts:actions\nbackground:10,20,30::\ncat:200,10,10::\ndog:10,200,10::\nvoid:0,0,0::\n"


def test_a_label_map_says_what_colours_mean(tmp_path: Path) -> None:
    colours = np.array([[10, 20, 30], [200, 10, 10], [10, 200, 10]], np.uint8)
    root = folder(tmp_path / "f", {"a": Image.fromarray(colours[corner(value=2)])}, "")
    (root / "labelmap.txt").write_text(LABELMAP)
    assert torch.equal(opened(root).mask("a"), torch.from_numpy(corner(value=2)))
    before = opened(root).fingerprint
    (root / "labelmap.txt").write_text(LABELMAP.replace("dog", "x").replace("cat", "dog").replace("x", "cat"))
    assert opened(root).mask("a").unique().tolist() == [0, 1]
    assert opened(root).fingerprint != before
    (root / "labelmap.txt").write_text(LABELMAP + "bird:1,2,3::\n")
    assert any("labelmap.txt:6' names the class 'bird'" in line for line in told(opened(root), "refuse"))
    for line in ("cat", "cat:1,2::", "cat:1,2,300::", "cat:200,10,10::"):
        (root / "labelmap.txt").write_text(LABELMAP + line)
        assert any("labelmap.txt:6'" in told_line for told_line in told(opened(root), "refuse"))


def test_a_label_map_names_a_class_once(tmp_path: Path) -> None:
    path = tmp_path / "labelmap.txt"
    path.write_text(LABELMAP + "Cat:1,2,3::\n")
    for classes in (("cat", "dog"), ()):
        with pytest.raises(DataError, match=r"labelmap.txt:6' names 'Cat' again, after line 3; give each class one"):
            read_labelmap(path, classes)
    path.write_text(LABELMAP + "void:1,2,3::\nbackground:1,2,4::\n")
    assert read_labelmap(path, ("cat", "dog")).ids[1, 2, 3] == 255  # two colours that are no class are well


def test_the_cure_of_an_unknown_class_in_a_label_map(tmp_path: Path) -> None:
    root = folder(tmp_path / "f", {"a": in_palette(corner())}, "")
    (root / "labelmap.txt").write_text(LABELMAP.replace("cat", "kat"))
    (finding,) = [f for f in examine(opened(root)) if f.severity == "refuse"]
    assert finding.seen == "names the class 'kat', which the benchmark does not have"
    assert finding.cure.startswith("name it in a step or in its ignore. Did you mean 'cat'")


def test_a_voc_folder_with_a_label_map_of_its_own(tmp_path: Path) -> None:
    root = voc_folder(tmp_path / "voc")  # ids 1 and 16 in VOC's colours
    names = "background:0,0,0::\ncat:128,0,0::\nperson:0,64,0::\n"
    (root / "labelmap.txt").write_text(names)
    assert set(VocSource(root, eval_list="dev").tags("train")) == {(8,), (15,)}
    (root / "labelmap.txt").write_text(names.replace("cat", "kitten"))
    (line,) = told(VocSource(root, eval_list="dev"), "refuse")
    assert "names the class 'kitten'" in line
    assert "make it a folder of your own with wilss data import" in line


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("drawn", ["raw", "upright"])
def test_masks_lie_on_images_that_exif_turns(tmp_path: Path, orientation: int, drawn: str) -> None:
    for name, (height, width) in {"square": (32, 32), "long": (24, 40)}.items():
        mask = corner(height, width)
        image = Image.fromarray(np.repeat(mask[..., None] * 200, 3, 2))
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(tmp_path / "image.png", exif=exif)
        if drawn == "upright":
            from PIL import ImageOps

            mask = (np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "image.png")))[..., 0] > 0).astype(
                np.uint8
            )
        root = folder(tmp_path / name, {"a": Image.fromarray(mask)}, "a,cat\n", {"a": noise(height, width)})
        (tmp_path / "image.png").rename(root / "images" / "a.png")
        told_apart = orientation == 1 or (orientation > 4 and name == "long")
        source = opened(root, drawn=None if told_apart else drawn)
        assert torch.equal(source.image("a")[0] > 0, source.mask("a") > 0)
        assert not told(source, "refuse")
        if not told_apart:
            (line,) = told(opened(root), "refuse")
            assert f"a.png' is turned by its EXIF orientation {orientation}, and its mask fits it both ways" in line
            assert "--set data.masks=raw" in line
            with pytest.raises(DataError, match="fits it both ways"):
                opened(root).mask("a")


def test_masks_of_0_and_255(tmp_path: Path) -> None:
    white = Image.fromarray(corner() * 255)
    root = folder(tmp_path / "all", {"a": white, "b": white, "c": in_palette(corner())}, "")
    (finding,) = [f for f in examine(opened(root)) if f.kind == BINARY]
    assert finding.severity == "refuse"
    assert "and 2 of 3 masks hold nothing but 0 and 255" in str(finding)
    root = folder(tmp_path / "one", {"a": white, "b": in_palette(corner()), "c": in_palette(corner(value=2))}, "")
    assert [f.severity for f in examine(opened(root)) if f.kind == BINARY] == ["warn"]
    (root / "labels.csv").write_text("image,labels\na,cat\n")
    assert [f.severity for f in examine(opened(root)) if f.kind == BINARY] == ["refuse"]
    bit = Image.fromarray(corner() * 255).convert("1")
    root = folder(tmp_path / "bit", {"a": bit, "b": bit}, "")
    assert opened(root).tags("train") == ((1,), (1,))  # one bit is class 1
    border = corner()
    border[border > 0] = 0
    border[0] = 255
    root = folder(tmp_path / "border", {"a": Image.fromarray(border)}, "")
    assert not [f for f in examine(opened(root)) if f.kind == BINARY]


def test_masks_and_tags_that_contradict_each_other(tmp_path: Path) -> None:
    masks = {"a": in_palette(corner(value=1)), "b": in_palette(corner(value=2)), "c": in_palette(corner(value=3))}
    root = folder(tmp_path / "f", masks, "a,dog\nb,dog;hamster\nc,hamster\n")
    lines = told(opened(root), "warn")
    assert len(lines) == 2
    assert "holds 1 images whose masks show 'cat', which the image's tags lack: a; correct" in lines[0]
    assert (
        "holds 1 images whose masks lack 'dog', which is among the image's tags: a" in lines[1]
    )  # not hamster: no base


def test_void_everywhere_and_tiny_objects_are_told(tmp_path: Path) -> None:
    tiny = corner(64, 64)
    tiny[40:42, 40:42] = 2
    masks = {"tiny": in_palette(tiny), "void": in_palette(np.full((32, 40), 255))}
    lines = told(opened(folder(tmp_path / "f", masks, "")))
    assert [line.split(":")[0] for line in lines] == ["warn all-void", "note tiny-object"]
    assert "shows 4 pixel(s) of class 2" in lines[1]
