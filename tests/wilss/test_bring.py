"""Data folders of tables, folders of folders and labelme: everything is placed right, or told."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.wilss.bringing import coco_file, counts, entry, kinds, label_file, picture, shape, source, tags
from tests.wilss.coco_records import SQUARE, annotation
from wilss.data.bring.batch import Batch, target_names
from wilss.data.bring.build import build
from wilss.data.bring.coco import Part, from_coco
from wilss.data.bring.labelme import from_labelme
from wilss.data.bring.tables import from_folders, from_table
from wilss.errors import DataError, DataNotFoundError, SpecError


def table(root: Path, text: str, encoding: str = "utf-8") -> Batch:
    for k, name in enumerate(("a.jpg", "b.JPG", "sub/c.jpeg", "other/a.jpg")):
        picture(root / "pics" / name, k)
    (root / "table.csv").write_bytes(text.encode(encoding))
    return from_table(root / "table.csv", root / "pics")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("image;labels\r\na.jpg;cat\r\nb.JPG;dog,cat\r\nsub/c;\r\nother/a.jpg;guinea pig\r\n", "utf-8-sig"),
        ("file\tcat\tdog\tguinea pig\na\t1\t0\t0\nb\t1\t1\t0\nsub/c.jpeg\t0\t0\t0\nother/a.jpg\t0\t0\t1\n", "utf-16"),
        ("image,label\na.jpg,cat\nb.JPG,cat\nb.JPG,dog\nsub/c.jpeg,\nother/a.jpg,guinea pig;\n", "utf-8"),
        ('image,labels\n"pics/../a.jpg",cat\nb,"cat;dog"\nc.jpeg,\nother/a,guinea pig;\n', "utf-8"),
    ],
)
def test_tables_of_every_kind(tmp_path: Path, text: str, encoding: str) -> None:
    text = text.replace("pics/../", "")
    brought = build(table(tmp_path, text, encoding), tmp_path / "out")
    assert brought.complete, [str(finding) for finding in brought.findings]
    assert brought.steps == (("cat", "dog"), ("guinea pig",))
    assert brought.classes == {"cat": 2, "dog": 1, "guinea pig": 1}
    found = source(brought)
    assert {i: row for i, row in tags(found).items() if row} == {"other__a": ["guinea pig"]}  # no masks: nothing else
    lines = (tmp_path / "out/labels.csv").read_text().splitlines()
    assert lines == ["image,labels", "a,cat", "b,cat;dog", "c,", "other__a,guinea pig"]
    assert "There are no masks" in (tmp_path / "out/benchmark.yaml").read_text()


def test_names_of_one_image_are_told_unless_classes_are_wanted(tmp_path: Path) -> None:
    for k in range(12):
        picture(tmp_path / "pics" / f"{k}.jpg", k)
    rows = "".join(f"{k}.jpg,cat;name{k}\n" for k in range(12))
    (tmp_path / "table.csv").write_text(f"image,label\n{rows}")
    for wanted, told in (((), True), (("cat",), False)):
        batch = from_table(tmp_path / "table.csv", tmp_path / "pics", wanted)
        assert ("names-of-one-image" in {finding.kind for finding in batch.findings}) == told


def test_blanks_in_names_are_asked_about(tmp_path: Path) -> None:
    text = "image,label\na.jpg,cat dog\nb,cat\n"
    with pytest.raises(SpecError, match="holds 'cat dog', which may be one name or several; name the classes"):
        table(tmp_path, text)
    batch = from_table(tmp_path / "table.csv", tmp_path / "pics", ("cat", "dog"))
    assert {item.name: item.tags for item in batch.items} == {"a": ("cat", "dog"), "b": ("cat",)}
    batch = from_table(tmp_path / "table.csv", tmp_path / "pics", ("cat", "cat dog"))
    assert {item.name: item.tags for item in batch.items} == {"a": ("cat dog",), "b": ("cat",)}


def test_names_with_blanks_beside_others_are_asked_to_be_parted(tmp_path: Path) -> None:
    """What the message says to do is taken."""
    text = "image,label\na.jpg,guinea pig\nb,Guinea  Pig dog\n"
    with pytest.raises(SpecError, match="names without blanks; else write ';' between names"):
        table(tmp_path, text)
    classes = ("guinea pig", "dog")
    with pytest.raises(SpecError, match="holds 'Guinea  Pig dog', which has 'guinea pig' and more in it; write ';'"):
        from_table(tmp_path / "table.csv", tmp_path / "pics", classes)
    (tmp_path / "table.csv").write_text(text.replace("Pig dog", "Pig;dog").replace("Guinea  Pig", "guinea pig"))
    batch = from_table(tmp_path / "table.csv", tmp_path / "pics")
    assert {item.name: item.tags for item in batch.items} == {"a": ("guinea pig",), "b": ("dog", "guinea pig")}
    (tmp_path / "table.csv").write_text("image,label\na.jpg,guinea pig\nb,guinea pig dog\n")
    batch = from_table(tmp_path / "table.csv", tmp_path / "pics", ("guinea pig", "guinea pig dog"))
    assert {item.name: item.tags for item in batch.items} == {"a": ("guinea pig",), "b": ("guinea pig dog",)}


def test_rows_and_images_without_the_other_are_told(tmp_path: Path) -> None:
    brought = build(table(tmp_path, "image,labels\na.jpg,cat\ngone.jpg,dog\nb,background\n"), tmp_path / "out")
    assert kinds(brought) == {"no-image": 1, "no-row": 2, "background": 1}
    assert (tmp_path / "out/labels.csv").read_text() == "image,labels\na,cat\nb,\n"


def test_folders_of_folders(tmp_path: Path) -> None:
    for k, name in enumerate(("cat/1.jpg", "cat/deep/2.jpg", "dog/1.jpg", "top.jpg")):
        picture(tmp_path / "in" / name, k)
    picture(tmp_path / "in/dog/both.png", 9)
    picture(tmp_path / "in/cat/both.png", 9)
    (tmp_path / "in/cat/notes.txt").write_text("x")
    (tmp_path / "in/cat/._1.jpg").write_text("x")
    brought = build(from_folders(tmp_path / "in"), tmp_path / "out")
    source(brought)
    lines = (tmp_path / "out/labels.csv").read_text().splitlines()
    assert lines == ["image,labels", "2,cat", "both,cat;dog", "cat__1,cat", "dog__1,dog"]
    assert kinds(brought) == {"no-class-folder": 1, "passed-over: file of another kind": 1}
    (tmp_path / "in").rename(tmp_path / "train")
    (tmp_path / "all").mkdir()
    (tmp_path / "train/top.jpg").unlink()
    (tmp_path / "train").rename(tmp_path / "all/train")
    assert from_folders(tmp_path / "all").classes == ("cat", "dog")


def test_labelme_shapes(tmp_path: Path) -> None:
    disc = shape("dog", [[20, 10], [20, 14]], "circle")
    box = shape("cat", [[8.0, 9.0], [2.0, 3.0]], "rectangle")
    lines = [shape("cat", [[1, 1], [5, 5]], "linestrip"), shape("cat", [[1, 1]]), shape("cat", [["a", 1]] * 3), {}, 7]
    stamp = io.BytesIO()
    Image.fromarray(np.eye(3, dtype=np.uint8) * 255).save(stamp, "PNG")
    png = base64.b64encode(stamp.getvalue()).decode()
    marks = [shape("cat", [[25, 1], [27, 3]], "mask") | {"mask": png}, shape("cat", [[1, 1], [2, 2]], "mask")]
    outline = shape("guinea pig", [[0, 14], [5, 14], [5, 19], [0, 19]])
    label_file(tmp_path / "in", [box, disc, outline, marks[0], shape("ignore", [[2, 3], [3, 4]], "rectangle")])
    label_file(tmp_path / "in", [disc, *lines, marks[1]], "odd one")
    label_file(tmp_path / "in", [box], "half", imageHeight=10)
    label_file(tmp_path / "in", [shape("cat", [[1, 1], [9, 9]], "mask") | {"mask": png}], "smaller")
    label_file(tmp_path / "in", [shape("cat", [[0, 0], [9, 0], [9, 900]])], "far")
    label_file(tmp_path / "in/sub", [box], "a", imagePath="..\\sub\\a.jpg")
    label_file(tmp_path / "in", [box], "gone", imagePath="../../gone.jpg")
    (tmp_path / "in/gone.jpg").unlink()
    (tmp_path / "in/other.json").write_text("[1]")
    (tmp_path / "in/broken.json").write_text("{")
    picture(tmp_path / "in/bare.jpg")
    brought = build(from_labelme(tmp_path / "in"), tmp_path / "out")
    found = source(brought)
    assert kinds(brought) == {"shape": 6, "mask": 4, "no-image": 1, "labelme-format": 2, "no-json": 1}
    assert found.classes == ("cat", "dog", "guinea pig")
    first = next(i for i in found.ids("train") if i.endswith("a") and not i.startswith("sub"))
    assert counts(found, first) == {0: 600 - 49 - 61 - 36 - 3, 1: 48, 2: 61, 3: 36, 255: 4}
    assert counts(found, "sub__a") == {0: 600 - 49, 1: 49}
    assert not found.has_mask("half")
    assert not found.has_mask("odd one")


@pytest.mark.parametrize("points", [[[1, 1], [5, 5]], [[1, 1], [float("nan"), 5], [5, 5]]])
def test_labelme_shapes_that_cannot_be_drawn_withhold_the_mask_but_no_tag(tmp_path: Path, points: Any) -> None:
    """Their pixels would be background otherwise. Shapes of labels that are not chosen do no harm."""
    box = shape("cat", [[2, 3], [8, 9]], "rectangle")
    label_file(tmp_path / "in", [box, shape("dog", points)], "lost")
    label_file(tmp_path / "in", [box], "sound")
    batch = from_labelme(tmp_path / "in")
    assert {item.name: item.tags for item in batch.items} == {"lost": ("cat", "dog"), "sound": ("cat",)}
    assert batch.masked == {"cat"}
    brought = build(batch, tmp_path / "out")
    assert [source(brought).has_mask(name) for name in ("lost", "sound")] == [False, True]
    assert kinds(brought) == {"shape": 1, "mask": 1}
    assert (tmp_path / "out/labels.csv").read_text() == "image,labels\nlost,cat;dog\nsound,cat\n"
    chosen = build(from_labelme(tmp_path / "in", wanted=("cat",)), tmp_path / "chosen")
    assert source(chosen).has_mask("lost")


def test_the_last_class_is_learnt_later_unless_others_are_named(tmp_path: Path) -> None:
    names = {1: "cat", 2: "dog", 3: "cow"}
    images = [entry(n, f"{n}.jpg") for n in names]
    part = coco_file(tmp_path, [annotation(n, category_id=n) for n in names], images, names)
    batch = from_coco([part])
    assert build(batch, tmp_path / "a").steps == (("cat", "dog"), ("cow",))
    brought = build(batch, tmp_path / "b", new=("cat",), hold_out=0.4)
    assert brought.steps == (("dog", "cow"), ("cat",))
    assert brought.held_out == len((tmp_path / "b/eval.txt").read_text().split()) == 1
    found = source(brought)
    shown = {i: counts(found, i) for split in ("train", "eval") for i in found.ids(split)}
    assert shown == {"1": {0: 81, 3: 9}, "2": {0: 81, 1: 9}, "3": {0: 81, 2: 9}}
    with pytest.raises(SpecError, match="--new names 'pig', which is no class"):
        build(batch, tmp_path / "c", new=("pig",))


def test_nothing_is_written_over_and_nothing_half_done_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = picture(tmp_path / "in/cat/a.jpg").read_bytes()
    picture(tmp_path / "in/dog/b.jpg")
    batch = from_folders(tmp_path / "in")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("x")
    for place in (tmp_path / "out", tmp_path / "out/mine.txt"):
        with pytest.raises(SpecError, match="is there already and not an empty folder"):
            build(batch, place)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("wilss.data.bring.build.write_labels", full)
        with pytest.raises(SpecError, match=r"cannot be written \(No space left on device\); make room"):
            build(batch, tmp_path / "full")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]
    (tmp_path / "empty").mkdir()
    copied = build(batch, tmp_path / "empty", copy=True)
    assert not (tmp_path / "empty/images/a.jpg").samefile(tmp_path / "in/cat/a.jpg")
    assert copied.complete
    assert (tmp_path / "in/cat/a.jpg").read_bytes() == before


def test_names_that_no_folder_or_benchmark_can_hold(tmp_path: Path) -> None:
    assert target_names(["a/x.jpg", "b/x.png", "y.tif", "a__x.jpg"]) == {
        **{"a/x.jpg": None, "b/x.png": "b__x", "y.tif": "y", "a__x.jpg": None}
    }
    assert target_names(["x\n.jpg", "e" * 300 + ".jpg", "cafe\u0301.jpg"]) == {
        **{"x\n.jpg": None, "e" * 300 + ".jpg": None, "cafe\u0301.jpg": "caf\u00e9"}
    }
    for name in ("a;b", "x" * 61):
        picture(tmp_path / name / "cat;dog/a.jpg" if name == "a;b" else tmp_path / name / name / "a.jpg")
        with pytest.raises(SpecError, match="cannot be used: up to 60 letters"):
            from_folders(tmp_path / name)
    with pytest.raises(DataNotFoundError, match="is no folder; name that of the images"):
        from_folders(tmp_path / "none")
    with pytest.raises(DataNotFoundError, match="labelme"):
        from_labelme(tmp_path)
    part = Part(tmp_path / "none.json", tmp_path)
    with pytest.raises(DataError, match="No such file"):
        from_coco([part])
    assert SQUARE
