"""COCO files become a data folder: categories by name, outlines of every kind, what a mask lies on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.wilss.bringing import coco_file, counts, entry, kinds, picture, source, tags
from tests.wilss.coco_records import PACKED, RUNS, annotation
from wilss.data.bring.batch import Drawn
from wilss.data.bring.build import build
from wilss.data.bring.coco import Part, from_coco
from wilss.errors import SpecError


def test_coco_categories_of_ones_own_by_name(tmp_path: Path) -> None:
    images = [entry("x-1", "sub/a b.jpg"), entry("x-2", "b.jpg"), entry("x-3", "c.jpg"), entry("x-4", "d.jpg")]
    annotations = [
        annotation(1, image_id="x-1", category_id=7, segmentation=PACKED),
        annotation(2, image_id="x-1", category_id=7, segmentation=RUNS, iscrowd=1),
        annotation(3, image_id="x-2", category_id=3, area=...),
        annotation(4, image_id="x-3", category_id=7, segmentation=RUNS, iscrowd=1),
    ]
    part = coco_file(tmp_path, annotations, images, {7: "guinea pig", 1: "weed", 3: "crop"})
    brought = build(from_coco([part]), tmp_path / "out")
    found = source(brought)
    assert brought.complete
    assert (brought.images, brought.masks, brought.steps) == (4, 4, (("crop",), ("guinea pig",)))
    assert tags(found) == {"a b": ["guinea pig"], "b": ["crop"], "c": [], "d": []}
    assert counts(found, "a b") == {0: 77, 2: 13}  # the instance lies on the crowd
    assert counts(found, "b") == {0: 81, 1: 9}
    assert counts(found, "c") == {0: 77, 255: 13}
    assert (tmp_path / "out/images/b.jpg").samefile(tmp_path / "img/b.jpg")
    assert [(f.severity, f.kind) for f in brought.findings] == [("note", "coco-unused"), ("note", "void-alone")]


def test_coco_objects_without_outline_are_void_in_their_box_and_told(tmp_path: Path) -> None:
    images = [entry(n, f"{n}.jpg") for n in (1, 2, 3, 4)]
    annotations = [
        annotation(1, segmentation=...),
        annotation(2),
        annotation(5, image_id=2, segmentation=[], bbox=[4, 1, 2, 3]),
        annotation(3, segmentation=[], bbox=[0, 0, 0, 0]),
        annotation(4, segmentation=[[1, 1, 1e9, 1, 4, 4]]),
    ]
    brought = build(from_coco([coco_file(tmp_path, annotations, images, {1: "cat"})]), tmp_path / "out")
    found = source(brought)
    assert kinds(brought) == {"coco-no-outline": 3, "coco-outline": 1, "mask": 3}
    assert counts(found, "2") == {0: 75, 1: 9, 255: 6}
    assert [found.has_mask(i) for i in "1234"] == [False, True, False, False]
    assert brought.classes == {"cat": 4}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"segmentation": [[1, 1, 4, 1, 4]], "bbox": [1, 1, 3, 3]}, "odd number of coordinates"),
        ({"segmentation": [[1, 1, 4, 1, 9, 1]], "bbox": [1, 1, 3, 3]}, "no polygon of three points"),
        ({"segmentation": {"size": [9, 10], "counts": [1, 2]}}, "whose run lengths cannot be read"),
        ({"iscrowd": 7}, "whose iscrowd is neither 0 nor 1"),
    ],
)
def test_coco_outlines_that_cannot_be_drawn_have_their_reason_once(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    images = [entry(1, "1.jpg"), entry(2, "2.jpg")]
    part = coco_file(tmp_path, [annotation(1, **changes), annotation(2, image_id=2)], images, {1: "cat"})
    brought = build(from_coco([part]), tmp_path / "out")
    told = [str(finding) for finding in brought.findings]
    assert sum(reason in one for one in told) == 1, told
    assert sum("shows an object that cannot be drawn, so it has no mask" in one for one in told) == 1
    assert len(told) == 2
    assert [source(brought).has_mask(i) for i in "12"] == [False, True]


def test_coco_classes_that_no_mask_shows_are_learnt_later(tmp_path: Path) -> None:
    """The only outline of a cat lies on an image whose mask is withheld; images and masks are made anew for it."""
    images = [entry(n, f"{n}.jpg") for n in (1, 2)]
    annotations = [
        annotation(1, category_id=1),
        annotation(2, image_id=1, category_id=3, segmentation=[], bbox=[0, 0, 0, 0]),
        annotation(3, image_id=2, category_id=2),
        annotation(4, image_id=2, category_id=3, segmentation=RUNS),
    ]
    part = coco_file(tmp_path, annotations, images, {1: "cat", 2: "dog", 3: "cow"})
    brought = build(from_coco([part]), tmp_path / "out")
    assert brought.steps == (("dog", "cow"), ("cat",))
    assert counts(source(brought), "2") == {0: 68, 1: 9, 2: 13}
    assert (tmp_path / "out/images/1.jpg").samefile(tmp_path / "img/1.jpg")
    assert build(from_coco([part]), tmp_path / "own", new=("cow",)).steps == (("cat", "dog"), ("cow",))


def test_coco_images_that_cannot_be_placed_are_counted(tmp_path: Path) -> None:
    secret = picture(tmp_path.parent / "secret.jpg")
    names = ("../secret.jpg", str(secret), "a/0.jpg", "b/0.jpg", "gone.jpg", "page.jpg", "c.jpg", "c.jpg", "d.jpg")
    images = [entry(n, name) for n, name in enumerate(names, start=1)]
    images.append(entry(9, "e.jpg"))
    part = coco_file(tmp_path, [annotation(3), annotation(4), annotation(77, image_id=99)], images, {1: "cat"})
    (tmp_path / "img/gone.jpg").unlink()
    (tmp_path / "img/page.jpg").write_text("<html>")
    brought = build(from_coco([part]), tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out/images").iterdir()) == ["a__0.jpg", "b__0.jpg"]
    assert kinds(brought) == {
        **{"coco-image": 2, "coco-file-twice": 2, "coco-id-twice": 2, "unreadable": 2, "coco-image-unlisted": 1}
    }
    assert (brought.given, brought.not_placed) == (10, 8)
    source(brought)


def test_coco_splits_may_be_two_files_and_classes_chosen(tmp_path: Path) -> None:
    both, names = [annotation(1), annotation(2, category_id=2)], {1: "cat", 2: "dog"}
    first = coco_file(tmp_path / "t", both, [entry(1, "1.jpg"), entry(2, "2.jpg")], names)
    second = coco_file(tmp_path / "v", [annotation(1, category_id=5)], [entry(1, "1.jpg")], {5: "cat"})
    held_out = Part(second.annotations, second.images, held_out=True)
    brought = build(from_coco([first, held_out]), tmp_path / "out")
    assert (tmp_path / "out/eval.txt").read_text() == "a__1\n" or brought.held_out == 1
    chosen = build(from_coco([first], ("dog",)), tmp_path / "chosen")
    assert (chosen.classes, kinds(chosen)) == ({"dog": 1}, {"coco-passed-over": 1})
    assert counts(source(chosen), "1") == {0: 90}
    with pytest.raises(SpecError, match="'cow' is no class of these data; there are cat, dog"):
        from_coco([first], ("cow",))


@pytest.mark.parametrize("drawn", [None, "raw", "upright"])
def test_what_a_mask_refers_to_is_told_by_its_size_or_asked_for(tmp_path: Path, drawn: Drawn | None) -> None:
    """Orientation 6 of 9 x 10 (as stored), the same of 10 x 10, and 3."""
    images = [entry(1, "lying.jpg"), entry(2, "square.jpg", height=10), entry(3, "head.jpg")]
    part = coco_file(tmp_path, [annotation(n) for n in (1, 2, 3)], images, {1: "cat"})
    picture(tmp_path / "img/lying.jpg", orientation=6)
    picture(tmp_path / "img/square.jpg", size=(10, 10), orientation=6)
    picture(tmp_path / "img/head.jpg", orientation=3)
    brought = build(from_coco([part], drawn=drawn), tmp_path / "out")
    found = source(brought)
    assert found.mask("lying").shape == (10, 9)
    assert found.mask("lying")[1:4, 5:8].sum() == 9
    if drawn is None:
        assert kinds(brought) == {"mask": 2}
        assert all("--drawn raw" in finding.cure for finding in brought.findings)
        return
    assert brought.complete
    assert found.mask("head")[5:8, 6:9].sum() == 9 if drawn == "raw" else found.mask("head")[1:4, 1:4].sum() == 9
    assert Counter(finding.kind for finding in brought.findings) == {"upright": 2}
    assert found.image("head").shape == (3, 9, 10)


@pytest.mark.parametrize("drawn", [None, "raw", "upright"])
def test_a_turned_image_without_a_size_is_annotated_as_shown_which_is_told(tmp_path: Path, drawn: Drawn | None) -> None:
    images = [entry(1, "lying.jpg", height=None, width=None)]
    part = coco_file(tmp_path, [annotation(1)], images, {1: "cat"})
    picture(tmp_path / "img/lying.jpg", orientation=6)
    brought = build(from_coco([part], drawn=drawn), tmp_path / "out")
    mask = source(brought).mask("lying")
    assert mask.shape == (10, 9)
    assert mask[1:4, 5:8].sum() == 9 if drawn == "raw" else mask[1:4, 1:4].sum() == 9
    told = [finding for finding in brought.findings if finding.kind == "orientation"]
    assert [f.severity for f in told] == ([] if drawn else ["warn"])
    if not drawn:
        assert "they are taken as made for the image as shown; say with --drawn raw" in str(told[0])


def test_real_coco_images(tmp_path: Path, real_data: Path) -> None:
    part = Part(real_data / "coco128/annotations/instances_train2017.json", real_data / "coco128/train2017")
    brought = build(from_coco([part]), tmp_path / "out", hold_out=0.2)
    assert brought.complete
    assert (brought.images, brought.masks, len(brought.classes)) == (128, 128, 71)
    source(brought)
