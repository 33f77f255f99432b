"""Lists of images: ids, files, paths and pairs of paths, in any encoding."""

from __future__ import annotations

from pathlib import Path

import pytest

from wilss.data.id_lists import read_ids
from wilss.errors import DataError

NAMES = {name: name.removesuffix(".jpg") for i in ("x", "y", "a b", "s/z", "p.q") for name in (i, f"{i}.jpg")}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("x\ny\n", ("x", "y")),
        ("\ufeffx\r\ny\r\n", ("x", "y")),
        ("x.jpg\ny.JPG\n\n", ("x", "y")),
        ("images/x.jpg\n./y.jpg\n", ("x", "y")),
        ("a b\na b.jpg y.png", None),
        ("a b\n'y'", ("a b", "y")),
        ("s/z\nJPEGImages/x.jpg", ("s/z", "x")),
        ("p.q\nx", ("p.q", "x")),
        ("/JPEGImages/x.jpg /SegmentationClassAug/x.png\n/JPEGImages/y.jpg /SegmentationClassAug/y.png", ("x", "y")),
        ("JPEGImages/x.jpg\tSegmentationClass/x.png", ("x",)),
        ("VOC2012/JPEGImages/a b.jpg VOC2012/SegmentationClass/a b.png", ("a b",)),
        ("x.jpg,x_mask.png", ("x",)),
        ("none.jpg", ("none",)),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_lines_are_read_with_and_without_the_images_at_hand(
    tmp_path: Path, content: str, expected: tuple[str, ...] | None, known: bool
) -> None:
    path = tmp_path / "list.txt"
    path.write_text(content)
    if expected is None:
        with pytest.raises(
            DataError, match=r"list.txt:2' pairs 'a b.jpg' with 'y.png'; an image and its mask have one"
        ):
            read_ids(path, NAMES if known else None)
    else:
        assert read_ids(path, NAMES if known else None) == expected


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp1252"])
def test_encodings_are_told_apart(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "list.txt").write_text("café\nx\n", encoding=encoding)
    assert read_ids(tmp_path / "list.txt") == ("café", "x")


def test_one_image_in_two_ways_is_twice(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("x\nimages/x.jpg\n")
    with pytest.raises(DataError, match=r"lists images more than once \(1, first 'x'\)"):
        read_ids(tmp_path / "list.txt")
