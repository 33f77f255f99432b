"""Label sets to other tools and back: what they rename is found again, and what they cannot say is refused."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stores.artefacts import Manifest, Store
from stores.labels.brush import brush_runs, painted
from stores.labels.exchange import suffixed
from stores.labels.export import Format, export_labels
from stores.labels.imports import import_labels
from stores.labels.index import LabelIndex
from tests.fuzz.mutate import spoil_bytes, spoil_json, spoil_text
from tests.stores.labels.sets import whole_set
from tests.stores.labels.test_folders import IDS, masks, parent
from wilss.errors import DataError, DataNotFoundError, FormatError, SpecError, WilssError

__all__ = ["parent"]  # the fixture
Parent = tuple[Store, Manifest]
WRITTEN = [0, 0, 0, 24, 57, 27, 252, 96, 22, 255, 231, 0, 0]
"""As label_studio_converter.brush.mask2rle (0.0.59) writes [[0, 1, 1], [1, 0, 0]]."""
FILE: dict[Format, str] = {"coco": "instances.json", "cvat": "annotations.xml", "label-studio": "tasks.json"}


def taken(of: Parent, path: Path) -> str:
    return import_labels(path, of[1].digest, of[0].root).digest


def written(of: Parent, to: Path, form: Format, images: Path | None = None) -> Path:
    export_labels(of[1].digest, to, None, of[0].root, form, images)
    return to / FILE[form]


def photographs(to: Path) -> Path:
    for number, image_id in enumerate(IDS):
        path = to / f"{image_id}{('.JPG', '.png', '.jpeg')[number % 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return to


@pytest.mark.parametrize("form", FILE)
def test_every_form_gives_the_same_set_under_any_names(parent: Parent, tmp_path: Path, form: Format) -> None:
    export_labels(parent[1].digest, tmp_path / "palette", None, parent[0].root)
    same = taken(parent, tmp_path / "palette")
    assert taken(parent, written(parent, tmp_path / "ids", form)) == same
    named = written(parent, tmp_path / "named", form, photographs(tmp_path / "photographs"))
    assert "sub/im.jpeg" in named.read_text()
    assert taken(parent, named) == same


def test_names_of_files_are_those_of_the_folder(parent: Parent, tmp_path: Path) -> None:
    photographs(tmp_path / "photographs")
    (tmp_path / "photographs/ring.JPG").unlink()
    with pytest.raises(DataError, match="has no file of image 'ring', nor of 0 others of 10; name the folder"):
        written(parent, tmp_path / "x", "coco", tmp_path / "photographs")
    with pytest.raises(DataError, match="is not a folder"):
        written(parent, tmp_path / "x", "coco", tmp_path / "no")
    with pytest.raises(SpecError, match="leave --images to coco, cvat, label-studio"):
        export_labels(parent[1].digest, tmp_path / "x", None, parent[0].root, "palette", tmp_path)
    assert not (tmp_path / "x").exists()


def test_names_that_a_tool_would_mix_up_are_refused(tmp_path: Path) -> None:
    labels = whole_set(
        tmp_path / "set", LabelIndex(("a", "a.jpg"), ("cat",), np.ones((2, 1), bool), 8, (2, 2), ("refined",))
    )
    with pytest.raises(SpecError, match=r"image 'a' and image 'a\.jpg' would have one name; use coco"):
        suffixed(labels)


def test_coco_with_classes_numbered_anew_and_numbers_for_runs(parent: Parent, tmp_path: Path) -> None:
    """As CVAT and datumaro write it."""
    from pycocotools import mask as native

    path = written(parent, tmp_path / "one", "coco")
    same, content = taken(parent, path), json.loads(path.read_text())
    for one in content["categories"]:
        one["id"] -= 4
    for one in content["annotations"]:
        one["category_id"] -= 4
        pixels = native.decode(one["segmentation"]).ravel(order="F")
        ends = np.flatnonzero(np.diff(pixels, prepend=0, append=2))
        one["segmentation"]["counts"] = np.diff(ends, prepend=0).tolist()
    there = tmp_path / "two/annotations/instances_default.json"
    there.parent.mkdir(parents=True)
    there.write_text(json.dumps(content))
    assert taken(parent, tmp_path / "two") == same


def test_cvat_masks_lie_row_by_row_in_their_box(parent: Parent, tmp_path: Path) -> None:
    text = written(parent, tmp_path, "cvat").read_text()
    found = re.search(r'name="ring.jpg" width="101" height="101">\n<mask label="class 3".* rle="([^"]*)" (.*)>', text)
    assert found
    left, top, width, height = (int(number) for number in re.findall(r'"(\d+)"', found[2])[:4])
    runs = [int(number) for number in found[1].split(", ")]
    box = np.repeat(np.arange(len(runs)) % 2, runs).reshape(height, width)
    whole = np.zeros((101, 101), int)
    whole[top : top + height, left : left + width] = box
    export_labels(parent[1].digest, tmp_path / "palette", None, parent[0].root)
    assert np.array_equal(whole * 8, np.asarray(Image.open(tmp_path / "palette/ring.png")))
    assert all(edge.any() for edge in (box[0], box[-1], box[:, 0], box[:, -1]))


def test_a_brush_is_written_as_label_studio_does() -> None:
    mask = np.array([[0, 1, 1], [1, 0, 0]], np.uint8)
    assert [*brush_runs(mask), 0] == WRITTEN  # it fills up with a byte more
    assert np.array_equal(painted(WRITTEN, (2, 3)), mask)
    assert painted(WRITTEN, (3, 3)) is None
    assert painted(WRITTEN[:-3], (2, 3)) is None
    assert painted([], (2, 3)) is None


@pytest.mark.parametrize(("size", "seed"), [((1, 1), 0), ((37, 53), 1), ((3, 8000), 2), ((400, 400), 3)])
def test_a_brush_comes_back(size: tuple[int, int], seed: int) -> None:
    gen = np.random.default_rng(seed)
    for mask in (gen.random(size) > 0.5, np.ones(size), np.zeros(size), np.arange(size[1]) % 90 * np.ones(size) > 44):
        assert np.array_equal(painted(brush_runs(mask.astype(np.uint8)), size), mask.astype(bool))


def test_values_one_by_one_are_read() -> None:
    """Label Studio's page writes some runs so."""
    values = "".join(f"{v:08b}" for pixel in (255, 0, 127, 128) for v in (0, 0, 0, pixel))
    bits = f"{16:032b}" + f"{7:05b}" + "0010001101111111"[:16] + "0" + "01" + f"{15:04b}" + values
    assert painted(padded(bits), (1, 4)).tolist() == [[True, False, False, True]]  # type: ignore[union-attr]


def padded(bits: str) -> list[int]:
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


def edited(change: Callable[[Any], Any]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        content = json.loads(text)
        change(content)
        return json.dumps(content)

    return edit


BOMB = '<!DOCTYPE a [<!ENTITY b "xx"><!ENTITY c "&b;&b;">]>\n<annotations>'
HUGE = 'name="ring.jpg" width="1048576" height="1048576"'


@pytest.mark.parametrize(
    ("form", "change", "error", "words"),
    [
        ("cvat", replaced("<annotations>", BOMB), FormatError, "has a document type"),
        ("cvat", replaced("</annotations>", ""), FormatError, "annotations.xml' is damaged .no element found"),
        ("cvat", replaced('name="ring.jpg" width="101" height="101"', HUGE), DataError, "is 1048576 x 1048576, the"),
        ("cvat", replaced('rle="', 'rle="9'), DataError, "run lengths of image 'ring' that do not fill their box"),
        ("cvat", replaced('rle="', 'rle="-1,'), DataError, "do not fill their box"),
        ("cvat", replaced('left="', 'left="100'), DataError, "do not fill their box"),
        ("cvat", replaced('left="', 'left="x'), FormatError, "'images.0.masks.0.left' is 'x"),
        ("cvat", replaced('label="class 3"', 'label="zebra"'), DataError, "a mask of class 'zebra'; the label set has"),
        ("cvat", replaced('name="ring.jpg"', 'name="zing.jpg"'), DataError, "'zing.jpg' is not in this label set"),
        ("cvat", replaced('name="ring.jpg"', 'name="thin.png"'), DataError, "lists image 'thin' twice"),
        ("cvat", replaced("<mask", "<polygon/><mask"), DataError, "another kind than a mask .polygon.; draw it with"),
        ("cvat", lambda text: "<annotations></annotations>", DataError, "has no image"),
        ("cvat", lambda text: "<annotations><mask/></annotations>", FormatError, "a mask outside of an image"),
        ("label-studio", lambda text: "[]", DataNotFoundError, "has masks of no image"),
        ("label-studio", edited(lambda c: c[0]["data"].pop("wilss_id")), FormatError, "'tasks.0.data.wilss_id'"),
        ("label-studio", edited(lambda c: c[0]["annotations"].append({"result": []})), DataError, "has 2 annotations"),
        ("label-studio", edited(lambda c: c.append(c[0])), DataError, "lists image 'ring' twice"),
        ("label-studio", replaced('"original_width": 101', '"original_width": 100'), DataError, "is 101 x 100, the"),
        ("label-studio", replaced('"rle": [\n0,\n', '"rle": [\n1,\n'), DataError, "do not fill it"),
        ("label-studio", replaced('"rle": [\n0,\n', '"rle": [\n256,\n'), FormatError, r"value.rle.0' is 256"),
        ("label-studio", replaced('"class 3"', '"zebra"'), DataError, "a mask of class 'zebra'"),
        ("coco", replaced('"height": 101', '"height": 1048576'), DataError, "is 1048576 x 101, the image is 101 x 101"),
        ("coco", replaced('"class 3"', '"class 4"'), DataError, "has the classes {5: 'class 0'"),
    ],
)
def test_what_cannot_be_taken_is_told(
    parent: Parent,
    tmp_path: Path,
    form: Format,
    change: Callable[[str], str],
    error: type[Exception],
    words: str,
) -> None:
    path = written(parent, tmp_path, form)
    path.write_text(change(path.read_text()))
    with pytest.raises(error, match=words):
        taken(parent, path)
    assert len(parent[0].all("labels")) == 1


def test_a_task_that_nobody_has_annotated_has_no_row(parent: Parent, tmp_path: Path) -> None:
    path = written(parent, tmp_path, "label-studio")
    tasks = json.loads(path.read_text())
    for task in tasks[1:]:
        task["annotations"] = [{**task["annotations"][0], "was_cancelled": True}]
    path.write_text(json.dumps(tasks))
    child = import_labels(tmp_path, parent[1].digest, parent[0].root)
    assert child.counts["images"] == 1
    assert np.array_equal(masks(parent[0], child)[0], masks(*parent)[0])


def test_a_file_of_another_kind_is_told(parent: Parent, tmp_path: Path) -> None:
    (tmp_path / "x.csv").touch()
    with pytest.raises(DataError, match=r"is neither \.json nor \.xml"):
        taken(parent, tmp_path / "x.csv")


@pytest.mark.parametrize("form", FILE)
def test_spoilt_files_end_in_a_sentence(parent: Parent, tmp_path: Path, form: Format) -> None:
    path = written(parent, tmp_path, form)
    text, told = path.read_text(), []
    for seed in range(60):
        rng = random.Random(seed)
        if form == "cvat":
            path.write_bytes(spoil_text(text, rng) if seed % 2 else spoil_bytes(text.encode(), rng))
        else:
            path.write_bytes(spoil_json(text, rng))
        try:
            taken(parent, path)
        except WilssError as error:
            told.append(str(error))
    assert len(told) > 20
    assert not [sentence for sentence in told if "\n" in sentence]
