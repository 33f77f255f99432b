"""Data folders of what people have: everything is placed right, or told."""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import ExifTags, Image

from tests.wilss.test_coco_annotations import PACKED, RUNS, SQUARE, annotation
from wilss.data.bring.batch import Batch, Drawn, target_names
from wilss.data.bring.build import Brought, build
from wilss.data.bring.coco import Part, from_coco
from wilss.data.bring.labelme import from_labelme
from wilss.data.bring.maps import numbered, read_map
from wilss.data.bring.masks import from_masks
from wilss.data.bring.tables import from_folders, from_table
from wilss.data.check import check_folder
from wilss.data.folder import FolderSource
from wilss.errors import DataError, DataNotFoundError, SpecError, WilssError


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (9, 10), orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def source(brought: Brought) -> FolderSource:
    """The folder as its own benchmark reads it; it is sound."""
    content = yaml.safe_load(Path(brought.benchmark).read_text())
    classes = tuple(name for step in content["steps"] for name in step)
    found = FolderSource(Path(brought.folder), classes, tuple(range(1, len(content["steps"][0]) + 1)))
    report = check_folder(found, whole=True)
    assert report.sound, [str(finding) for finding in report.findings if finding.severity == "refuse"]
    assert report.images == brought.images
    return found


def kinds(brought: Brought) -> Counter[str]:
    return Counter(finding.kind for finding in brought.findings if finding.severity == "warn")


def tags(found: FolderSource) -> dict[str, list[str]]:
    ids = found.ids("train"), found.tags("train")
    return {i: [found.classes[c - 1] for c in row] for i, row in zip(*ids, strict=True)}


def counts(found: FolderSource, image_id: str) -> dict[int, int]:
    values, number = np.unique(found.mask(image_id).numpy(), return_counts=True)
    return dict(zip(values.tolist(), number.tolist(), strict=True))


def coco_file(
    root: Path, annotations: list[dict[str, Any]], images: list[dict[str, Any]], names: dict[int, str]
) -> Part:
    for entry in images:
        if (root / "img" / str(entry["file_name"])).resolve().is_relative_to(root.resolve()):
            picture(root / "img" / entry["file_name"], len(entry["file_name"]))
    categories = [{"id": number, "name": name} for number, name in names.items()]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "a.json").write_text(json.dumps(content))
    return Part(root / "a.json", root / "img")


def entry(number: object, file_name: str, **changes: Any) -> dict[str, Any]:
    return {"id": number, "file_name": file_name, "height": 9, "width": 10, **changes}


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


def label_file(root: Path, shapes: list[dict[str, Any]], name: str = "a", **changes: Any) -> None:
    picture(root / f"{name}.jpg", len(name), (20, 30))
    content = {"version": "5.4", "shapes": shapes, "imagePath": f"{name}.jpg", "imageHeight": 20, "imageWidth": 30}
    (root / f"{name}.json").write_text(json.dumps({**content, "imageData": None, **changes}))


def shape(label: str, points: Any, kind: str = "polygon") -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}}


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


COLOURS: dict[int, tuple[int, int, int]] = {0: (0, 0, 0), 1: (250, 50, 83), 2: (51, 221, 255), 255: (9, 9, 9)}
WORDS = (("bg", 0), ("cat", 1), ("guinea pig", 2), ("void", 255))
TABLES = {
    "labelmap.txt": "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\n"
    "guinea pig:51,221,255::\nvoid:9,9,9::\n",
    "colours.csv": "name,r,g,b\nbackground,0,0,0\ncat,250,50,83\nguinea pig,51,221,255\nvoid,9,9,9\n",
    "colours.json": json.dumps({name: COLOURS[k] for name, k in WORDS}),
    "list.json": json.dumps([{"name": name, "color": COLOURS[k]} for name, k in WORDS]),
}


def ids() -> NDArray[np.uint8]:
    mask = np.zeros((9, 10), np.uint8)
    mask[:3, :3], mask[4:6], mask[8] = 1, 2, 255
    return mask


@pytest.mark.parametrize("name", TABLES)
def test_masks_of_colours(tmp_path: Path, name: str) -> None:
    for image in ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"):
        picture(tmp_path / "images" / image)
    coloured = np.zeros((9, 10, 3), np.uint8)
    for value, colour in COLOURS.items():
        coloured[ids() == value] = colour
    masks = tmp_path / "masks"
    masks.mkdir()
    Image.fromarray(coloured).save(masks / "a.png")
    Image.fromarray(coloured).quantize(16).save(masks / "b.jpg.png")  # ids are permuted, colours are kept
    Image.fromarray(coloured).save(masks / "c.jpg", quality=60)
    coloured[0, 9] = (1, 2, 3)
    Image.fromarray(coloured).save(masks / "d_mask.PNG")
    Image.fromarray(coloured).save(masks / "nobody.png")
    (tmp_path / name).write_text(TABLES[name])
    batch = from_masks(masks, tmp_path / "images", read_map(tmp_path / name))
    brought = build(batch, tmp_path / "out")
    found = source(brought)
    assert found.classes == ("cat", "guinea pig")
    for image_id in ("a", "b"):
        assert np.array_equal(found.mask(image_id).numpy(), ids())
    assert kinds(brought) == {"mask": 2, "no-mask": 1, "mask-without-image": 1}
    told = [finding.seen for finding in brought.findings if finding.kind == "mask"]
    assert any("holds the colour (1, 2, 3) in 1 pixels" in seen for seen in told)
    assert any(seen.startswith("is a JPEG, which does not keep class ids") for seen in told), told


def test_a_table_without_black_is_told_as_the_reason(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    for name in "ab":
        picture(tmp_path / f"images/{name}.jpg")
        Image.fromarray(np.stack([250 * (ids() == 1)] * 3, -1).astype(np.uint8)).save(tmp_path / f"masks/{name}.png")
    picture(tmp_path / "images/bare.jpg")
    (tmp_path / "t.csv").write_text("name,r,g,b\ncat,250,250,250\n")
    batch = from_masks(tmp_path / "masks", tmp_path / "images", read_map(tmp_path / "t.csv"))
    told = (
        r"none of 3 images can be placed: .*a.png' holds the colour \(0, 0, 0\) in 81 pixels.*not name; .* \(1 more of"
    )
    with pytest.raises(DataError, match=told):
        build(batch, tmp_path / "out")


def test_masks_of_numbers_up_to_16_bits(tmp_path: Path) -> None:
    for image in ("a.jpg", "b.jpg", "c.jpg"):
        picture(tmp_path / "images" / image)
    masks = tmp_path / "masks"
    masks.mkdir()
    wide = ids().astype(np.uint16)
    Image.fromarray(np.where(wide == 2, 3000, wide).astype(np.uint16)).save(masks / "a.png")
    Image.fromarray(ids()).save(masks / "b.png")
    (tmp_path / "ids.csv").write_text("name,id\nunlabeled,255\ncat,1\ndog,3000\n")
    brought = build(from_masks(masks, tmp_path / "images", read_map(tmp_path / "ids.csv")), tmp_path / "out")
    assert np.array_equal(source(brought).mask("a").numpy(), ids())
    assert kinds(brought) == {"mask": 1, "no-mask": 1}  # the number 2 of b stands for nothing
    brought = build(from_masks(masks, tmp_path / "images", numbered(("cat", "dog"))), tmp_path / "second")
    assert np.array_equal(source(brought).mask("b").numpy(), ids())
    assert any("the number 3000 in 20 pixels" in finding.seen for finding in brought.findings)


def test_masks_of_numbers_whose_palette_has_another_order_are_read_by_their_colours(tmp_path: Path) -> None:
    """c says what most say, its indices exchanged; d and h have a colour that nothing tells the class of."""
    red, green = (200, 10, 10), (10, 200, 10)
    masks = tmp_path / "masks"
    masks.mkdir()
    odd = {"c": (green, red), "d": ((1, 2, 3), green), "h": (green, (0, 0, 0))}
    for name, colours in {**dict.fromkeys("abefgijk", (red, green)), **odd}.items():
        picture(tmp_path / f"images/{name}.jpg")
        values = np.where(ids() == 255, 0, ids())
        mask = Image.fromarray(np.where(values > 0, 3 - values, 0).astype(np.uint8) if name == "c" else values)
        mask.putpalette([0, 0, 0, *colours[0], *colours[1]])
        mask.save(masks / f"{name}.png")
    brought = build(from_masks(masks, tmp_path / "images", numbered(("cat", "dog"))), tmp_path / "out")
    found = source(brought)
    assert [counts(found, name) for name in "abcefgijk"] == [{0: 61, 1: 9, 2: 20}] * 9
    assert np.array_equal(found.mask("c").numpy(), found.mask("a").numpy())
    assert kinds(brought) == {"mask": 2}
    told = {Path(finding.where).name: finding.seen for finding in brought.findings}
    assert set(told) == {"c.png", "d.png", "h.png"}
    assert "is read by its colours" in told["c.png"]
    assert "2 has no colour of its own" in told["h.png"]
    assert "has the colour (1, 2, 3) at index 1, which is no class" in told["d.png"]


@pytest.mark.parametrize(
    "text",
    [
        "name,r,g,b\ncat,1,2\n",
        "name,r,g,b\ncat,1,2,300\n",
        "name,id\ncat,x\n",
        "name,id\ncat,1\ndog,1\n",
        "name,id\ncat,-1\n",
    ],
)
def test_tables_of_pixels_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=r"t.csv(:2)?' (holds|gives|is no table)"):
        read_map(tmp_path / "t.csv")


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


def test_real_coco_images(tmp_path: Path, real_data: Path) -> None:
    part = Part(real_data / "coco128/annotations/instances_train2017.json", real_data / "coco128/train2017")
    brought = build(from_coco([part]), tmp_path / "out", hold_out=0.2)
    assert brought.complete
    assert (brought.images, brought.masks, len(brought.classes)) == (128, 128, 71)
    source(brought)


ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    2**70,
    1e308,
    float("nan"),
    "",
    "x",
    "\0",
    "../x",
    [],
    [[]],
    {},
    [1, 2],
    [[1, 2]] * 3,
]


def changed(content: Any, draw: np.random.Generator) -> Any:
    """The same with an odd value somewhere."""
    here = content
    while True:
        keys: list[Any] = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = keys[int(draw.integers(len(keys)))]
        if not isinstance(here[key], list | dict) or not here[key] or draw.random() < 0.3:
            here[key] = ODD[int(draw.integers(len(ODD)))]
            return content
        here = here[key]


@pytest.mark.parametrize("form", ["coco", "labelme", "map", "csv", "masks"])
def test_odd_values_are_placed_or_told(tmp_path: Path, form: str) -> None:
    """Nothing but our own errors, whatever the files hold."""
    label_file(tmp_path / "in", [shape("cat", [[0, 0], [9, 0], [9, 9]]), shape("dog", [[2, 2], [5, 5]], "rectangle")])
    sheet = json.loads((tmp_path / "in/a.json").read_text())
    part = coco_file(tmp_path / "c", [annotation(1), annotation(2, segmentation=RUNS)], [entry(1, "1.jpg")], {1: "cat"})
    annotations = json.loads(part.annotations.read_text())
    (tmp_path / "in/masks").mkdir()
    Image.fromarray(np.eye(20, 30, dtype=np.uint8)).save(tmp_path / "in/masks/a.png")
    for seed in range(60):
        draw = np.random.default_rng(seed)
        noise = bytes(draw.integers(0, 256, 40, dtype=np.uint8))
        with suppress(WilssError):
            if form == "coco":
                part.annotations.write_text(json.dumps(changed(json.loads(json.dumps(annotations)), draw)))
                batch = from_coco([part])
            elif form == "labelme":
                (tmp_path / "in/a.json").write_text(json.dumps(changed(json.loads(json.dumps(sheet)), draw)))
                batch = from_labelme(tmp_path / "in")
            elif form == "map":
                (tmp_path / "t.json").write_text(json.dumps(changed({"cat": [1, 2, 3], "dog": [4, 5, 6]}, draw)))
                (tmp_path / "t.txt").write_bytes(b"cat:1,2,3::\n" + noise)
                names = [read_map(tmp_path / f"t.{suffix}").classes for suffix in ("json", "txt")]
                assert all(names)
                continue
            elif form == "csv":
                (tmp_path / "t.csv").write_bytes(b"image,labels\na,cat\n" + noise.replace(b"\0", b"") * (seed % 3))
                batch = from_table(tmp_path / "t.csv", tmp_path / "in")
            else:
                content = bytearray((tmp_path / "in/masks/a.png").read_bytes())
                content[int(draw.integers(len(content)))] ^= 1 << int(draw.integers(8))
                (tmp_path / "m").mkdir(exist_ok=True)
                (tmp_path / "m/a.png").write_bytes(bytes(content))
                batch = from_masks(tmp_path / "m", tmp_path / "in", numbered(("cat",)))
            source(build(batch, tmp_path / f"out-{seed}"))
