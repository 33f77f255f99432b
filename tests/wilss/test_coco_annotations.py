"""Annotation files as people really have them: read right, or told; nothing of them reaches native code unseen."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.wilss.coco_records import PACKED, RUNS, SQUARE, annotation, kinds, pixels, split_of
from tests.wilss.odd_values import ODD
from wilss.data.coco import outlines
from wilss.data.coco.annotations import CocoFile, read_annotations
from wilss.data.coco.names import CLASS_OF_COCO
from wilss.data.coco.objects import CocoSource
from wilss.data.coco.split import CocoSplit
from wilss.data.mask_reading import Drawn
from wilss.errors import DataError, WilssError
from wilss.fewshot.episodes.lists import read_areas


def test_run_lengths_of_every_form_and_what_may_be_left_out(tmp_path: Path) -> None:
    split = split_of(
        tmp_path,
        [
            annotation(1, segmentation=RUNS, iscrowd=1),
            annotation(2, segmentation=RUNS),
            annotation(3, segmentation=PACKED),
            annotation(4, segmentation=[]),
            annotation(5, iscrowd=...),
            annotation(6, area=...),
            annotation(7, segmentation=...),
        ],
    )
    split.check(split.ids)
    assert pixels(split, "1", 255) == pixels(split, "2") == pixels(split, "3") == 13
    assert pixels(split, "5") == pixels(split, "6") == 9
    assert pixels(split, "4") == pixels(split, "7") == 0
    assert np.array_equal(split.mask("2"), split.mask("3"))
    assert kinds(split) == {("warn", "coco-no-outline"): 2}
    assert {str(f).split("'")[3] for f in split.findings()} == {"4.jpg", "7.jpg"}
    assert all(split.tags(i) == (CLASS_OF_COCO[1],) for i in split.ids)
    source = CocoSource(split, split)
    assert [dict(image.areas) for image in read_areas(source, ("eval/2", "eval/4"))] == [{1: 13}, {1: 0}]
    assert len(list(source.findings())) == 2


def test_run_lengths_are_read_as_pycocotools_reads_them() -> None:
    from pycocotools import mask as native

    from wilss.data.coco.run_lengths import filled, lengths_of

    for seed in range(40):
        draw = np.random.default_rng(seed)
        size = int(draw.integers(1, 300)), int(draw.integers(1, 300))
        mask = draw.random(size) < draw.random() if seed % 3 else np.full(size, seed % 2 == 0)
        text = native.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
        lengths = lengths_of(text, size)
        assert lengths is not None
        assert np.array_equal(filled(lengths, size), mask)
    empty = lengths_of([], (0, 4))
    assert empty is not None, "an image without pixels is filled by no run"
    assert filled(empty, (0, 4)).shape == (0, 4)
    for counts in ([1, 2], [True, 3], [-1, 5], [2, 2, 2], "", "0", [5]):
        assert lengths_of(counts, (2, 2)) is None, counts


def test_a_missing_area_is_counted_from_the_mask(tmp_path: Path) -> None:
    large = [[0, 0, 8, 0, 8, 8, 0, 8]]
    both = [
        annotation(1, area=...),
        annotation(2, image_id=1, category_id=8, segmentation=large, area=...),
    ]
    split = split_of(tmp_path, both, lambda d: d["categories"].append({"id": 8, "name": "truck"}))
    assert (pixels(split, "1"), pixels(split, "1", CLASS_OF_COCO[8])) == (9, 64 - 9)


@pytest.mark.parametrize(
    ("segmentation", "kind"),
    [
        ([], "coco-no-outline"),
        (None, "coco-no-outline"),
        ([[1, 1, 4, 4]], "coco-flat-outline"),
        ([[]], "coco-flat-outline"),
        ([[1, 1, 4, 1, 8, 1]], "coco-flat-outline"),
        ([[1, 1], [4, 1], [4, 4]], "coco-flat-outline"),
    ],
)
def test_objects_without_an_outline_are_passed_over_and_counted(tmp_path: Path, segmentation: Any, kind: str) -> None:
    split = split_of(tmp_path, [annotation(1, segmentation=segmentation), annotation(2)])
    assert kinds(split) == {("warn", kind): 1}
    split.check(split.ids)
    assert (pixels(split, "1"), pixels(split, "2")) == (0, 9)
    assert split.tags("1")


def test_one_polygon_need_not_be_nested_and_a_flat_part_is_told(tmp_path: Path) -> None:
    split = split_of(tmp_path, [annotation(1, segmentation=SQUARE[0]), annotation(2, segmentation=[*SQUARE, [1, 1]])])
    assert pixels(split, "1") == pixels(split, "2") == 9
    assert kinds(split) == {("note", "coco-flat-part"): 1}


REFUSED: list[Any] = [
    [[1e9, 1, 4, 1, 4, 4]],
    [[1, 1, 21, 1, 4, 4]],
    [[1, 1, 4, 1, 4, -9.5]],
    [[1, 1, 4, 1, 4, -1e9]],
    [[float("nan"), 1, 4, 1, 4, 4]],
    [[1, 1, float("inf"), 1, 4, 4]],
    [[1, 1, 4, 1, 4, 4, 7]],
    [["1", "1", "4", "1", "4", "4"]],
    [[10**400, 1, 4, 1, 4, 4]],
    [SQUARE, SQUARE],
    "polygon",
    7,
    {"counts": [90], "size": [10, 9]},
    {"counts": [89], "size": [9, 10]},
    {"counts": [-1, 91], "size": [9, 10]},
    {"counts": [10**30, 0], "size": [9, 10]},
    {"counts": ["90"], "size": [9, 10]},
    {"counts": "nonsense", "size": [9, 10]},
    {"counts": "o" * 90, "size": [9, 10]},
    {"counts": "61X13mN000`", "size": [9, 10]},
    {"counts": "\u20ac", "size": [9, 10]},
    {"counts": "", "size": [9, 10]},
    {"counts": None, "size": [9, 10]},
    {"size": [9, 10]},
    {"counts": [90], "size": "9x10"},
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_outlines_that_are_none_are_refused_before_anything_is_drawn(tmp_path: Path, number: int) -> None:
    split = split_of(tmp_path, [annotation(1, segmentation=REFUSED[number]), annotation(2)])
    assert sum(severity == "refuse" for severity, _ in kinds(split).elements()) == 1
    with pytest.raises(DataError, match=r"annotation 1 \(image '1.jpg'\)"):
        split.mask("1")
    with pytest.raises(DataError, match=r"annotation 1 .*; (mend|take|the image)"):
        split.check(["1"])


def test_an_outline_of_endless_length_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zigzag = [[0, 0, 9, 8] * 20]
    split = split_of(tmp_path, [annotation(1, segmentation=zigzag), annotation(2, segmentation=[*SQUARE] * 3)])
    assert kinds(split) == {}
    monkeypatch.setattr(outlines, "LONGEST", 50)
    again = CocoSplit(split.root, "val2017")
    assert kinds(again) == {("refuse", "coco-outline"): 1}
    with pytest.raises(DataError, match=r"annotation 1 .* whose outline is longer"):
        again.mask("1")
    assert pixels(again, "2") == 9


def test_outlines_may_leave_the_image_by_its_size(tmp_path: Path) -> None:
    split = split_of(tmp_path, [annotation(1, segmentation=[[-9, -8, 19, -8, 19, 17, -9, 17]])])
    assert (pixels(split, "1"), kinds(split)) == (90, {})
    far = split_of(tmp_path / "far", [annotation(1, segmentation=[[1, 1, 21, 1, 4, 4]])])
    assert "far outside of the image" in next(iter(far.findings())).seen


def test_nonsense_costs_no_memory(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    polygon = [[1e9, 1e9, -1e9, 5, 3, 2e9]]
    split = split_of(tmp_path, [annotation(n, segmentation=polygon) for n in range(1, 50)])
    assert kinds(split) == {("refuse", "coco-outline"): 49}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize("value", ["1", 2, [1], {"a": 1}, 0.5])
def test_iscrowd_is_0_or_1(tmp_path: Path, value: Any) -> None:
    assert kinds(split_of(tmp_path, [annotation(1, iscrowd=value)])) == {("refuse", "coco-crowd"): 1}


@pytest.mark.parametrize("value", [0, -3, "9", None, float("nan"), [9]])
def test_an_area_that_is_none_is_counted(tmp_path: Path, value: Any) -> None:
    split = split_of(tmp_path, [annotation(1, area=value)])
    assert (pixels(split, "1"), kinds(split)) == (9, {})


MISSING: list[tuple[Callable[[Any], Any], str]] = [
    (lambda d: d.pop("categories"), "lists no categories"),
    (lambda d: d.pop("images"), "lists no images"),
    (lambda d: d["images"][0].pop("file_name"), "lists an image with the file name None"),
    (lambda d: d["images"][0].update(file_name="../../1.jpg"), "lists an image with the file name '../../1.jpg'"),
    (lambda d: d["images"][0].update(file_name="/etc/1.jpg"), "lists an image with the file name '/etc/1.jpg'"),
    (lambda d: d["images"][0].update(file_name="\x1b[2J\ud800.jpg"), r"file name '\\x1b"),
    (lambda d: d["images"][0].update(file_name="x" * 300 + ".jpg"), "lists an image with the file name 'xxx"),
    (lambda d: d["categories"][0].update(name="\x1b[2J\ud800"), r"calls category 1 '\\x1b\[2J\\ud800'"),
    (lambda d: d["images"][0].pop("id"), "lists an image with id None"),
    (lambda d: d["images"][1].update(id=1), "gives the id '1' to 2 images"),
    (lambda d: d["images"][1].update(file_name="1.jpg"), "lists '1.jpg' 2 times"),
    (lambda d: d["images"][1].update(file_name="1.png"), "lists '1.jpg' 2 times"),
    (lambda d: d["images"][0].update(height=10**7, width=10**7), "gives image '1' 10000000 x 10000000 pixels"),
    (lambda d: d["annotations"][0].update(category_id=12), "of a category that it does not list"),
    (lambda d: d["annotations"][0].pop("category_id"), "of a category that it does not list"),
    (lambda d: d["categories"].append({"id": 1, "name": "car"}), "calls category 1 both 'person' and 'car'"),
    (lambda d: d["categories"].append({"id": 3}), "has a category 3 called None"),
    (lambda d: d.update(categories=[{"id": 1, "name": "weed"}]), "wilss data import coco "),
    (lambda d: d["annotations"].append(7), "annotations holds 7"),
]


@pytest.mark.parametrize("number", range(len(MISSING)))
def test_lists_that_cannot_be_used_are_refused_with_the_place(tmp_path: Path, number: int) -> None:
    mutate, seen = MISSING[number]
    split = split_of(tmp_path, [annotation(1), annotation(2)], mutate)
    refused = [finding for finding in split.findings() if finding.severity == "refuse"]
    assert refused
    with pytest.raises(DataError, match=seen):
        split.check(split.ids)


def test_images_that_are_listed_wrongly_can_be_left_out(tmp_path: Path) -> None:
    split = split_of(tmp_path, [annotation(n) for n in range(1, 5)], lambda d: d["images"][1].update(id=1))
    lenient = CocoSplit(split.root, split.name, skip_unreadable=True)
    assert lenient.ids == ("3", "4")
    assert lenient.skipped == 2
    lenient.check(lenient.ids)
    assert kinds(lenient) == {("warn", "coco-id-twice"): 2, ("warn", "coco-image-unlisted"): 1}


@pytest.mark.parametrize("size", [{"height": None}, {"height": "9"}, {"width": 0}, {"height": 9.5}, {"width": [10]}])
def test_a_size_that_is_none_is_that_of_the_file(tmp_path: Path, size: dict[str, Any]) -> None:
    split = split_of(tmp_path, [annotation(1), annotation(2)], lambda d: d["images"][0].update(size))
    assert pixels(split, "1") == 9
    assert kinds(split) == {("warn", "coco-size"): 1}


@pytest.mark.parametrize("drawn", [None, "raw", "upright"])
def test_a_size_that_is_none_is_that_of_the_file_as_shown(tmp_path: Path, drawn: Drawn | None) -> None:
    def without_size(content: Any) -> None:
        del content["images"][0]["height"], content["images"][0]["width"]

    split = replace(split_of(tmp_path, [annotation(1)], without_size), drawn=drawn)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((9, 10, 3), np.uint8)).save(split.root / "val2017" / "1.jpg", exif=exif)
    mask = split.mask("1")
    assert mask.shape == (10, 9)
    assert (mask[1:4, 5:8] if drawn == "raw" else mask[1:4, 1:4]).bool().all()
    assert int(mask.bool().sum()) == 9
    (told,) = [f for f in split.findings() if f.kind == "orientation"] or [None]
    assert (told.severity if told else None) == {None: "warn", "raw": "note", "upright": None}[drawn]
    if drawn is None:
        assert "its annotations tell no size: they are taken as made for the image as shown; say" in str(told)


def test_ids_may_be_text_and_files_lie_in_folders(tmp_path: Path) -> None:
    def mutate(content: Any) -> None:
        for k, name in enumerate(("a/0.jpg", "b/0.jpg", "sub/a b.c.jpg")):
            content["images"][k].update(file_name=name, id=f"x-{k}")
            content["annotations"][k].update(image_id=f"x-{k}")
        content["images"].append({**content["images"][0]})

    split = split_of(tmp_path, [annotation(n, segmentation=RUNS if n == 2 else SQUARE) for n in (1, 2, 3)], mutate)
    assert split.ids == ("a/0", "b/0", "sub/a b.c")
    assert [pixels(split, i) for i in split.ids] == [9, 13, 9]
    assert kinds(split) == {("note", "coco-listed-again"): 1}
    assert CocoSource(split, split).image("train/sub/a b.c").shape == (3, 9, 10)


def test_a_file_that_lies_elsewhere_is_found_where_there_is_one_of_its_name(tmp_path: Path) -> None:
    split = split_of(tmp_path, [annotation(1)])
    content = json.loads(split.annotations.read_text())
    for entry, name in zip(content["images"], ("val2017/1.jpg", "C\\2.jpg", "other/3.jpg"), strict=True):
        entry["file_name"] = name
    content["images"].append({**content["images"][0], "id": 9, "file_name": "more/3.jpg"})
    content["images"].append({**content["images"][0], "id": 10, "file_name": "beside/4.jpg"})
    (split.root / "beside").mkdir()
    Image.new("RGB", (10, 9)).save(split.root / "beside" / "4.jpg")
    split.annotations.write_text(json.dumps(content))
    again = CocoSplit(split.root, "val2017")
    there = {image_id: again.path(image_id).is_file() for image_id in again.ids}
    assert there == {"beside/4": False, "C/2": True, "more/3": False, "other/3": False, "val2017/1": True}


def test_an_edited_file_of_equal_size_is_other_data_and_a_copy_the_same(tmp_path: Path) -> None:
    made = [split_of(tmp_path / name, [annotation(1), annotation(2)]) for name in ("a", "b")]
    first, copy = (CocoSource(split, split).fingerprint for split in made)
    assert first == copy
    path = made[1].annotations
    path.write_text(path.read_text().replace("[1, 1, 4, 1", "[2, 1, 4, 1", 1))
    split = CocoSplit(made[1].root, "val2017")
    edited = CocoSource(split, split).fingerprint
    assert edited != first
    image = made[1].path("2")
    content = bytearray(image.read_bytes())
    content[-3] ^= 1
    image.write_bytes(content)
    assert len({first, edited, CocoSource(split, CocoSplit(split.root, "val2017")).fingerprint}) == 3


BROKEN = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"[" * 100_000,
    b'{"images": ' + b"[" * 100_000,
    b'{"images": [{"id": 1}',
    b'{"images": [], "images": []}',
    b'{"images": [1 2]}',
    b'{"images" [1]}',
    b'{"images": [{"id": 1}]} x',
    b'{"images": [{"id": "\xff"}]}',
    b"{1: 2}",
    b'{"images": ["' + b"x" * (20 << 20) + b'"]}',
]


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_what_is_no_annotation_file_is_one_finding(tmp_path: Path, number: int) -> None:
    split = split_of(tmp_path, [annotation(1)])
    split.annotations.write_bytes(BROKEN[number])
    split = CocoSplit(split.root, "val2017")
    assert kinds(split) == {("refuse", "coco-format"): 1}
    with pytest.raises(DataError, match="is no COCO annotation file"):
        _ = split.ids


def test_fuzzed_annotations_are_read_or_refused(tmp_path: Path) -> None:
    """Values of any kind in any place: findings and errors of ours, and nothing else."""
    split = split_of(tmp_path, [annotation(n, segmentation=(SQUARE, RUNS, PACKED)[n % 3]) for n in range(1, 6)])
    content = json.loads(split.annotations.read_text())
    for seed in range(300):
        draw = np.random.default_rng(seed)
        changed = json.loads(json.dumps(content))
        for _ in range(int(draw.integers(1, 4))):
            entries = changed[("images", "annotations", "categories")[draw.integers(3)]]
            entry = entries[draw.integers(len(entries))]
            if isinstance(entry.get("segmentation"), dict) and draw.random() < 0.5:
                entry = entry["segmentation"]
            entry[list(entry)[draw.integers(len(entry))]] = ODD[draw.integers(len(ODD))]
        split.annotations.write_text(json.dumps(changed))
        again = CocoSplit(split.root, "val2017", skip_unreadable=bool(seed % 2))
        sound = all(finding.severity != "refuse" for finding in again.findings())
        with nullcontext() if sound else suppress(WilssError):
            assert [again.tags(i) for i in again.ids]
            assert all(again.mask(i).ndim == 2 for i in again.ids)


def test_real_annotations_are_drawn_as_pycocotools_draws_them(real_data: Path) -> None:
    from pycocotools.coco import COCO

    split = CocoSplit(real_data / "coco128", "train2017")
    assert list(split.findings()) == []
    theirs = COCO(str(split.annotations))
    file: CocoFile = read_annotations(split.annotations)
    for image in list(file.images.values()):
        for number in file.objects(image):
            annotation = theirs.anns[file.columns.ids[number]]
            assert np.array_equal(file.mask(image, number), theirs.annToMask(annotation).astype(bool))
