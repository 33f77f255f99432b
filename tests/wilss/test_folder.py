"""A folder of one's own: what it may hold, what a step sees of it, and looking it over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wilss.data.any_folder import open_folder
from wilss.data.check import DataReport, check_folder
from wilss.data.folder import FolderSource
from wilss.data.steps import StepLists
from wilss.data.tags import read_labels
from wilss.data.voc import save_palette_png
from wilss.errors import DataError, DataNotFoundError
from wilss.protocol import Benchmark

CLASSES = ("cat", "guinea pig", "hamster")
PETS = Benchmark("pets", "folder", ((1, 2), (3,)))


def own_folder(root: Path, rows: str = "a.jpg,cat\nb,guinea pig;hamster\nc,hamster\nd,\n") -> Path:
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for number, name in enumerate(("a.jpg", "b.png", "c.JPG", "d.jpg", "e.jpg")):
        Image.fromarray(np.full((24, 32, 3), 20 + 40 * number, np.uint8)).save(root / "images" / name)
    for name, value in (("a", 1), ("e", 2)):
        mask = torch.zeros(24, 32, dtype=torch.uint8)
        mask[4:12, 4:12] = value
        save_palette_png(mask, root / "masks" / f"{name}.png")
    (root / "labels.csv").write_text("image,labels\n" + rows)
    return root


def source(root: Path, **options: object) -> FolderSource:
    return FolderSource(root, CLASSES, (1, 2), **options)  # type: ignore[arg-type]


def looked_over(root: Path, classes: tuple[str, ...] = ()) -> DataReport:
    return check_folder(FolderSource(root, classes, (1, 2)) if classes else open_folder(root), whole=True)


def told(report: DataReport) -> list[str]:
    return [f"{finding.severity}: {finding}" for finding in report.findings]


def refused(report: DataReport) -> list[str]:
    return [str(finding) for finding in report.findings if finding.severity == "refuse"]


def test_steps_see_what_they_may(tmp_path: Path) -> None:
    found = source(own_folder(tmp_path))
    base = StepLists.open(found, PETS, "overlap").base(32)
    assert base.images.ids == ("a", "e")  # b is tagged with a base class, but has no mask to learn it from
    assert base.mask(1).unique().tolist() == [0, 2]  # e has no row: its tags are read off its mask
    later = StepLists.open(found, PETS, "overlap").tagged(1, 32)
    assert later.images.ids == ("b", "c")
    assert later.tags.tolist() == [[True], [True]]
    assert found.ids("eval") == ()
    found.check()


def test_evaluation_images_need_masks_and_are_never_trained_on(tmp_path: Path) -> None:
    root = own_folder(tmp_path)
    (root / "eval.txt").write_text("e\n")
    assert source(root).ids("eval") == ("e",)
    assert "e" not in source(root).ids("train")
    (root / "eval.txt").write_text("e\ne\n")
    with pytest.raises(DataError, match=r"lists images more than once \(1, first 'e'\)"):
        source(root).ids("eval")
    assert "more than once" in refused(looked_over(root))[0]
    (root / "eval.txt").write_text("c\n")
    with pytest.raises(DataError, match=r"lists 'c', which has no mask; it needs both, or leave it out"):
        source(root).ids("eval")


def test_fingerprint_follows_labels_and_files_of_the_images_asked_for(tmp_path: Path) -> None:
    root = own_folder(tmp_path)
    first, of_a = source(root).fingerprint, source(root).fingerprint_of(("a",), (1,))
    assert source(root).fingerprint == first
    (root / "labels.csv").write_text("image,labels\na,cat;hamster\n")
    assert source(root).fingerprint != first
    assert source(root).fingerprint_of(("a",), (1,)) == of_a  # a new row for a later class leaves the step alone
    assert source(root).fingerprint_of(("a",), (1, 3)) != of_a
    Image.new("RGB", (32, 24)).save(root / "images" / "a.jpg")
    assert source(root).fingerprint_of(("a",), (1,)) != of_a


def test_first_line_must_be_a_header(tmp_path: Path) -> None:
    root = own_folder(tmp_path)
    for rows in ("a.jpg,cat\nb,hamster\n", "a,\nb,hamster\n"):
        (root / "labels.csv").write_text(rows)
        with pytest.raises(DataError, match=r"begins with the labels of 'a.*'; its first line must be a header"):
            source(root).tags("train")
        assert "its first line must be a header" in refused(looked_over(root))[0]
    (root / "labels.csv").write_text("a,cat\n")
    with pytest.raises(DataError, match="first line must be a header"):
        read_labels(root / "labels.csv", CLASSES)  # no images are known


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,cta\n", "labels.csv:2' names the class 'cta', .* Did you mean 'cat'"),
        ("a,cat\nzz,cat\n", "labels.csv:3' names image 'zz', which is not in '.*images'; put the file there"),
        ("a,cat\na,cat\n", "labels.csv:3' repeats image id 'a' of row 2; write one row an image"),
        (",cat\n", "labels.csv:2' has no image id"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        source(own_folder(tmp_path, rows)).tags("train")


def test_names_to_ignore(tmp_path: Path) -> None:
    root = own_folder(tmp_path, "a,cat;sofa\nb,hamster\n")
    assert source(root, ignore=("sofa",)).tags("train")[0] == (1,)


def test_damaged_folders(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"lacks images/. Expected layout"):
        source(tmp_path)
    root = own_folder(tmp_path / "x")
    (root / "images" / "a.png").write_bytes((root / "images" / "b.png").read_bytes())
    with pytest.raises(DataError, match="share the name 'a'"):
        source(root).ids("train")
    (root / "images" / "a.png").unlink()
    save_palette_png(torch.full((24, 32), 9, dtype=torch.uint8), root / "masks" / "e.png")
    with pytest.raises(DataError, match="holds the value 9; allowed are 0"):
        source(root).mask("e")
    (root / "images" / "c.JPG").write_bytes(b"no image")
    (root / "masks" / "e.png").unlink()
    with pytest.raises(DataError, match="cannot be decoded"):
        source(root).check()
    assert source(root, skip_unreadable=True).skipped == 1


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("guinea pig", (2,)),
        ("cat|guinea pig", (1, 2)),
        ("cat ; hamster", (1, 3)),
        ("cat hamster", (1, 3)),
        ("cat,guinea pig", (1, 2)),
        ("", ()),
    ],
)
def test_class_names_may_be_written_in_several_ways(tmp_path: Path, cells: str, expected: tuple[int, ...]) -> None:
    (tmp_path / "l.csv").write_text(f"image,labels\nx,{cells}\n")
    assert read_labels(tmp_path / "l.csv", CLASSES) == {"x": expected}


def test_check_reports_what_is_there_and_what_is_wrong(tmp_path: Path) -> None:
    root = own_folder(tmp_path, "a.jpg,cat\nb,guinea pig;hamster\nc,hamstr\nc,hamster\nzz,cat\n")
    assert not any("hamstr'" in line for line in told(looked_over(root)))  # without a benchmark any name will do
    (root / "images" / "f.jpg").write_bytes((root / "images" / "d.jpg").read_bytes())
    (root / "images" / "e.jpg").write_bytes(b"no image")
    report = looked_over(root, CLASSES)
    assert (report.images, report.masks, report.labelled) == (6, 2, 3)
    assert report.classes == {"cat": 1, "guinea pig": 1, "hamster": 2}
    lines = "\n".join(told(report))
    assert "e.jpg' cannot be decoded as an image; replace it" in lines
    assert "note: '" in lines
    assert "d.jpg' has the bytes of f.jpg" in lines
    assert "labels.csv:6' names image 'zz'" in lines
    assert "labels.csv:5' repeats image id 'c' of row 4" in lines
    assert "labels.csv:4' names the class 'hamstr', which is none" in lines
    assert not report.sound
    assert set(report.shown) >= {"cat", "hamster"}


def test_check_accepts_what_a_run_accepts(tmp_path: Path) -> None:
    report = looked_over(own_folder(tmp_path / "bad", "a,cat\nb,hamstr\n"), CLASSES)
    assert "names the class 'hamstr', which is none, in 1 row(s)" in refused(report)[0]
    assert looked_over(own_folder(tmp_path / "good"), CLASSES).sound


def test_check_lists_two_images_of_one_name_and_an_empty_folder_with_all_else(tmp_path: Path) -> None:
    root = own_folder(tmp_path, "a,cat\nb,hamstr\n")
    (root / "images" / "a.png").write_bytes((root / "images" / "a.jpg").read_bytes())
    report = looked_over(root, CLASSES)
    assert report.images == 5
    assert [line for line in refused(report) if "share the name 'a'" in line]
    assert len(refused(report)) == 2
    for path in (root / "images").iterdir():
        path.unlink()
    empty = looked_over(root, CLASSES)
    assert (empty.images, empty.sound) == (0, False)
    assert any("holds no image" in line for line in refused(empty))


def test_check_refuses_a_folder_of_another_kind(tmp_path: Path) -> None:
    own_folder(tmp_path)
    with pytest.raises(DataNotFoundError, match="neither images/ nor JPEGImages/"):
        open_folder(tmp_path / "images")
