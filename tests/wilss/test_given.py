"""Images and tags as scripts hold them: whatever the form, the same pixels; and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from wilss.data.given import Pictures, picture, tag_table, words_of
from wilss.errors import DataError, DataNotFoundError, SpecError

PIXELS = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
ARRAY = PIXELS.permute(1, 2, 0).numpy()


def forms(folder: Path) -> dict[str, Any]:
    Image.fromarray(ARRAY).save(folder / "a.png")
    return {
        "path": folder / "a.png",
        "text": str(folder / "a.png"),
        "pillow": Image.fromarray(ARRAY),
        "lazy pillow": Image.open(folder / "a.png"),
        "array": ARRAY,
        "array turned back": np.flip(np.flip(ARRAY, 1).copy(), 1),
        "float array": ARRAY.astype(np.float64) / 255,
        "tensor": PIXELS,
        "float tensor": PIXELS.float() / 255,
        "half tensor": (PIXELS.float() / 255).half(),
    }


def test_every_form_gives_the_same_pixels(tmp_path: Path) -> None:
    for name, form in forms(tmp_path).items():
        found = picture(form)
        assert found.dtype == torch.uint8
        assert torch.equal(found, PIXELS), name


def test_pillow_images_are_turned_and_converted_as_files_are(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (8, 4), 200).save(tmp_path / "turned.jpg", exif=exif)
    found = picture(Image.open(tmp_path / "turned.jpg"))
    assert found.shape == (3, 8, 4)
    assert torch.equal(found, picture(tmp_path / "turned.jpg"))


def test_one_a_list_and_a_batch_are_told_apart_and_named(tmp_path: Path) -> None:
    path = forms(tmp_path)["path"]
    assert Pictures.of(path).form == "one"
    assert Pictures.of([path, ARRAY, PIXELS]).form == "list"
    for batch in (torch.stack([PIXELS, PIXELS]), np.stack([ARRAY, ARRAY])):
        pictures = Pictures.of(batch)
        assert (pictures.form, pictures.ids) == ("batch", ("0", "1"))
        assert torch.equal(pictures.image("1"), PIXELS)
    assert Pictures.of([path]).ids == ("a",)
    assert Pictures.of([path, path]).ids == ("0", "1"), "two files of one name"
    assert Pictures.of([path, PIXELS], ids=["x", "y"]).ids == ("x", "y")
    assert Pictures.of([]).ids == ()
    for wrong in (["x"], ["x", "x"]):
        with pytest.raises(DataError, match="1 different names for 2 images; give each its own"):
            Pictures.of([path, path], ids=wrong)


def test_a_list_of_paths_is_read_one_by_one(tmp_path: Path) -> None:
    pictures = Pictures.of([forms(tmp_path)["path"], tmp_path / "none.png"])
    assert torch.equal(pictures.image("a"), PIXELS)
    with pytest.raises(DataNotFoundError, match=r"none\.png' does not exist"):
        pictures.image("none")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (ARRAY[..., 0], r"an image array has the shape \(5, 7\); give RGB as \(H, W, 3\)"),
        (PIXELS.permute(1, 2, 0), r"an image tensor has the shape \(5, 7, 3\); give RGB as \(3, H, W\)"),
        (PIXELS[:, :0], r"the shape \(3, 0, 7\)"),
        (PIXELS.float(), r"torch.float32 from \d to 25\d; give uint8, or floats in \[0, 1\]"),
        (PIXELS.long(), "torch.int64 from"),
        (PIXELS.float() * torch.nan, "from nan to nan"),
        (ARRAY.astype(np.uint16), "torch.uint16 from"),
        (ARRAY.astype(str), "an image array holds <U3; give uint8, or floats"),
        (7, "int is no image; give a path, a Pillow image"),
        ([7], "int is no image"),
        ({"a": 1}, "dict is no image"),
    ],
)
def test_what_is_no_image_is_told(given: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        [Pictures.of(given).image(image_id) for image_id in Pictures.of(given).ids]
    assert "\n" not in str(caught.value)


def test_a_truncated_pillow_image_is_told(tmp_path: Path) -> None:
    Image.fromarray(ARRAY.repeat(40, 0).repeat(40, 1)).save(tmp_path / "b.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:900])
    with pytest.raises(DataError, match="a Pillow image cannot be decoded"):
        picture(Image.open(tmp_path / "b.jpg"))


def test_tags_are_names_for_each_image() -> None:
    table = tag_table([["cow"], [], ("sheep", "cow")], ["sheep", "cow"], 3)
    assert table.tolist() == [[False, True], [False, False], [True, True]]
    for tags, message in (
        ([["cow"]], "1 rows of tags for 3 images"),
        ("cow", "give a list of class names for each image"),
        (["cow", "cow", "cow"], r"the tags of image 0 are 'cow'; give a list of names, \['cow'\]"),
        ([["cow"], ["shep"], []], "image 1 has the tag 'shep', which is no class. Did you mean 'sheep'"),
    ):
        with pytest.raises(DataError, match=message):
            tag_table(tags, ["sheep", "cow"], 3)  # type: ignore[arg-type]


def test_classes_are_names_or_names_with_words() -> None:
    assert words_of(["tv", "cow"]) == {"tv": ("tv",), "cow": ("cow",)}
    assert words_of({"tv": ["tv monitor", "television"], "cow": "cow"})["tv"] == ("tv monitor", "television")
    assert words_of({"cow": "cow"}) == {"cow": ("cow",)}
    with pytest.raises(SpecError, match=r"classes is 'cow'; give a list of names"):
        words_of("cow")
