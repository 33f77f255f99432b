"""Which files are images and masks: any suffix in any case; what is passed over is counted and told."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from tests.flows.test_cli import voc_folder
from tests.wilss.odd_files import corner, folder, in_palette, noise, opened, told
from wilss.data.index import index_images, index_masks
from wilss.data.voc import VocSource
from wilss.errors import DataError


def touched(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_images_have_any_suffix_in_any_case(tmp_path: Path) -> None:
    names = (
        "a.JPG",
        "b.jpeg",
        "c.jfif",
        "d.PNG",
        "e.Tif",
        "f.tiff",
        "g.webp",
        "h.bmp",
        "a.b.c.jpg",
        "-x.jpg",
        "50%#1.jpg",
    )
    found = index_images(touched(tmp_path, *names))
    assert set(found.files) == {"a", "b", "c", "d", "e", "f", "g", "h", "a.b.c", "-x", "50%#1"}
    assert not found.told()


@pytest.mark.parametrize(
    "mask",
    ["a.png", "a.PNG", "a.tif", "A.png", "a.jpg.png", "a_mask.png", "a-mask.PNG", "a.jpg_mask.png", "a_label.bmp"],
)
def test_masks_are_found_whatever_tools_call_them(tmp_path: Path, mask: str) -> None:
    images = index_images(touched(tmp_path / "images", "a.jpg", "b.jpg"))
    masks = index_masks(touched(tmp_path / "masks", mask), images)
    assert [(image_id, path.name) for image_id, path in masks.files.items()] == [("a", mask)]
    assert not masks.orphans


def test_the_nearest_name_wins(tmp_path: Path) -> None:
    images = index_images(touched(tmp_path / "images", "a.jpg", "a_mask.jpg", "B.jpg", "b.jpg"))
    masks = index_masks(touched(tmp_path / "masks", "a.png", "a_mask.png", "b.png", "x.png"), images)
    assert {image_id: path.name for image_id, path in masks.files.items()} == {
        "a": "a.png",
        "a_mask": "a_mask.png",
        "b": "b.png",
    }
    assert [path.name for path in masks.orphans] == ["x.png"]


def test_a_name_composed_in_two_ways_is_one_name(tmp_path: Path) -> None:
    apart, composed = unicodedata.normalize("NFD", "café"), "café"
    root = folder(tmp_path / "f", {}, f"{composed}.jpg,hamster\n")
    noise().save(root / "images" / f"{apart}.jpg")
    assert (opened(root).ids("train"), opened(root).tags("train")) == ((composed,), ((3,),))
    noise().save(root / "images" / f"{composed}.jpg")
    with pytest.raises(DataError, match="share the name 'café'"):
        opened(root).ids("train")


def test_what_is_passed_over_is_counted_by_kind_and_told(tmp_path: Path) -> None:
    root = folder(tmp_path / "f", {"a": in_palette(corner())}, "a,cat\n")
    touched(root / "images", "._a.jpg", ".DS_Store", "Thumbs.db", "b.gif", "c.gif", "notes.txt", "sub/deep.jpg")
    (root / "images" / "folder.jpg").mkdir()
    (root / "images" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    touched(root / "masks", "x.png")
    found = {kind: len(names) for kind, names in (opened(root).files.images.passed or {}).items()}
    assert found == {
        "hidden file": 2,
        "system file": 1,
        "file of another kind": 3,
        "sub-folder": 1,
        "folder called like an image": 1,
        "link without target": 1,
    }
    lines = "\n".join(told(opened(root)))
    assert (
        "holds 3 that are passed over (file of another kind): b.gif, c.gif, notes.txt; save it as one of .jpg" in lines
    )
    assert "(link without target): gone.jpg; fetch what it points to" in lines
    assert "masks' holds 1 masks of no image: x.png; rename them" in lines
    assert "refuse" not in lines


def test_two_files_for_one_image_are_refused_with_their_names(tmp_path: Path) -> None:
    root = folder(tmp_path / "f", {"a": in_palette(corner())}, "a,cat\n")
    in_palette(corner()).save(root / "masks" / "a_mask.png")
    with pytest.raises(DataError, match=r"a.png' and 'a_mask.png' share the name 'a': one mask is needed; rename"):
        opened(root).ids("train")


def test_voc_folders_have_files_of_any_kind_as_well(tmp_path: Path) -> None:
    root = voc_folder(tmp_path / "voc")
    before = VocSource(root, eval_list="dev")
    expected = before.ids("train"), before.tags("train")
    images, masks = root / "JPEGImages", root / "SegmentationClassAug"
    (images / "2007_000001.jpg").rename(images / "2007_000001.JPEG")
    (masks / "2007_000001.png").rename(masks / "2007_000001.PNG")
    (images / "2007_000002.jpg").rename(images / "2007_000002.jfif")
    after = VocSource(root, eval_list="dev")
    assert (after.ids("train"), after.tags("train")) == expected
    assert not told(after, "refuse")
    for path in (images, masks):
        (path / "a").mkdir()
        for file in [file for file in path.iterdir() if file.is_file()]:
            file.rename(path / "a" / file.name)
    for path in (root / "ImageSets" / "Segmentation").iterdir():
        path.write_text("".join(f"a/{line}\n" for line in path.read_text().split()))
    deep = VocSource(root, eval_list="dev")
    assert deep.tags("train") == expected[1]
    assert not told(deep, "refuse")
