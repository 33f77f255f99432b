"""Lists of images: ids, files, paths and pairs of paths, in any encoding."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.test_cli import voc_folder
from tests.wilss.odd_files import corner, folder, in_palette, opened, told
from wilss.data.id_lists import MOST_FAULTS, read_ids
from wilss.data.voc import VocSource
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


def test_all_faults_of_both_lists_of_a_voc_folder_are_told_at_once(tmp_path: Path) -> None:
    root = voc_folder(tmp_path / "voc")
    train, scored = (root / "ImageSets" / "Segmentation" / f"{name}.txt" for name in ("train_aug", "dev"))
    pairs = [f"{a}.jpg {b}.png" for a, b in (("x", "y"), ("2007_000000", "2007_000001"))]
    train.write_text("\n".join([train.read_text().strip(), *pairs, "2007_000001", "2007_000008", "lost"]))
    scored.write_text(f"{scored.read_text().strip()}\n2007_000009\n")
    (root / "JPEGImages" / "2007_000002.jpg").write_bytes(b"no image")
    source = VocSource(root, eval_list="dev")
    kinds = [line.split(":")[0] for line in told(source, "refuse")]
    assert sorted(kinds) == [
        *("refuse list-overlap", "refuse list-pair", "refuse list-pair", "refuse list-twice", "refuse list-twice"),
        *("refuse no-mask", "refuse unreadable", "refuse unreadable"),
    ]
    with pytest.raises(DataError, match=r"train_aug.txt:\d+' pairs 'x.jpg' with 'y.png'; .*\(4 more: wilss data check"):
        source.ids("train")
    scored.unlink()
    source = VocSource(root, eval_list="dev")
    assert [line for line in told(source, "refuse") if "dev.txt' does not exist" in line]
    assert [line for line in told(source, "refuse") if "train_aug.txt:" in line]


def test_all_faults_of_eval_txt_are_told_up_to_a_number(tmp_path: Path) -> None:
    root = folder(tmp_path / "f", {"a": in_palette(corner()), "b": in_palette(corner(value=2))}, "")
    names = [f"lost{k}" for k in range(MOST_FAULTS + 7)]
    (root / "masks" / "b.png").unlink()
    (root / "eval.txt").write_text("\n".join(["a", "a", "b", *names]))
    lines = told(opened(root), "refuse")
    assert sum("which has no image" in line for line in lines) == MOST_FAULTS
    assert any("eval.txt' has 7 more lines of this kind (list-no-image)" in line for line in lines)
    assert any("lists 'b', which has no mask" in line for line in lines)
    assert any("lists images more than once (1, first 'a')" in line for line in lines)
    assert len(lines) == MOST_FAULTS + 3
    with pytest.raises(DataError, match=rf"\({MOST_FAULTS + 2} more: wilss data check lists all\)"):
        opened(root).ids("eval")
