"""Label sets as files and back: every kind of mask comes back exactly, and nothing that is there is replaced."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from stores.artefacts import Manifest, Recipe, Store
from stores.labels.card import FORMAT as CARD_FORMAT
from stores.labels.export import Format, export_labels
from stores.labels.filling import ShardFill
from stores.labels.imports import import_labels
from stores.labels.index import LabelIndex
from stores.labels.names import mask_names
from stores.labels.sets import LabelSet
from stores.labels.writer import LabelWriter
from wilss.errors import DataError, FormatError, SpecError, WilssError
from wilss.measure.columns import COLUMNS

FORMS = get_args(Format)
CLASSES = tuple(f"class {k}" for k in range(11))
CLASS_IDS = tuple(range(5, 16))
IDS = ("ring", "ab c", "50%#1", "-x", "a.b.c", "sub/im", "ä" * 120, "AB C", "thin", "none")


def ring(side: int) -> np.ndarray[Any, Any]:
    y, x = np.mgrid[:side, :side] - side / 2
    return (np.hypot(x, y) < side * 0.45) & (np.hypot(x, y) > side * 0.2)


@pytest.fixture
def parent(tmp_path: Path) -> tuple[Store, Manifest]:
    """A ring; eleven classes side by side; overlapping, empty and thin masks; odd sizes; an image without tags."""
    tags = np.zeros((len(IDS), 11), bool)
    tags[0, 3] = tags[1] = True
    tags[2:9, :2] = True
    of = LabelIndex(IDS, CLASSES, tags, 37, (8, 8), ("refined",))
    sizes = [
        (37, 37, 101, 101),
        (37, 31, 53, 44),
        (23, 37, 23, 37),
        (37, 36, 38, 37),
        (37, 37, 37, 37),
        (9, 37, 90, 371),
    ]
    sizes += [(37, 29, 40, 31), (36, 37, 36, 37), (1, 37, 3, 8000), (37, 37, 64, 64)]
    store, recipe, gen = Store(tmp_path / "root"), Recipe("labels", {"a": 1}), np.random.default_rng(0)
    import torch

    with store.build(recipe) as folder:
        fill = ShardFill(of, 0)
        for image, (height, width, *_) in enumerate(sizes):
            rows = np.stack(
                [gen.random((height, width)) > 0.5 for _ in range(int(tags[image].sum()))] or [np.zeros((0,))]
            )
            if image == 0:
                rows[:] = ring(37)
            elif image == 1:
                rows = np.arange(height * width).reshape(1, height, width) % 11 == np.arange(11)[:, None, None]
            elif image == 4:
                rows[:] = False
            if tags[image].any():
                told = np.full((len(rows), len(COLUMNS)), np.nan, np.float32)
                fill.add([image], {"refined": torch.from_numpy(rows)}, told)
        fill.sizes[:] = sizes
        LabelWriter.begin(folder, of).write(0, fill.content())
        notes = {"format": CARD_FORMAT, "spec": {}, "class_ids": list(CLASS_IDS), "step": 1}
        return store, store.publish(recipe, folder, {"images": len(IDS)}, notes)


def files(folder: Path) -> dict[str, str]:
    there = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in there}


def masks(store: Store, manifest: Manifest) -> np.ndarray[Any, Any]:
    labels = LabelSet.open(store.folder(manifest.ref))
    return labels.read(labels.stage, 0, len(labels)).numpy()


@pytest.mark.parametrize("form", FORMS)
def test_masks_come_back_exactly(parent: tuple[Store, Manifest], tmp_path: Path, form: Format) -> None:
    store, manifest = parent
    assert export_labels(manifest.digest, tmp_path / "one", None, store.root, form) == len(IDS)
    child = import_labels(tmp_path / "one", manifest.digest[:12], store.root)
    assert child.parents == {"parent": manifest.digest}
    assert np.array_equal(masks(store, child), masks(store, manifest))
    assert child.notes["class_ids"] == list(CLASS_IDS)
    export_labels(child.digest, tmp_path / "two", None, store.root, form)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert import_labels(tmp_path / "two", manifest.digest, store.root).digest == child.digest


def test_other_tools_see_the_same(parent: tuple[Store, Manifest], tmp_path: Path) -> None:
    store, manifest = parent
    export_labels(manifest.digest, tmp_path / "palette", None, store.root)
    export_labels(manifest.digest, tmp_path / "coco", None, store.root, "coco")
    flat = np.array(Image.open(tmp_path / "palette/ring.png"))
    assert flat.shape == (101, 101)
    assert set(np.unique(flat)) == {0, 8}
    coco = COCO(tmp_path / "coco/instances.json")
    (ann,) = coco.imgToAnns[1]
    assert (coco.cats[ann["category_id"]]["name"], ann["area"]) == ("class 3", int((flat > 0).sum()))
    assert np.array_equal(coco.annToMask(ann), flat > 0)
    assert len(coco.imgs) == len(IDS)


def test_a_corrected_map_is_what_is_learnt_from(parent: tuple[Store, Manifest], tmp_path: Path) -> None:
    store, manifest = parent
    export_labels(manifest.digest, tmp_path / "one", None, store.root)
    path = tmp_path / "one/ring.png"
    Image.fromarray(np.full((101, 101), 8, np.uint8)).save(path)
    child = import_labels(tmp_path / "one", manifest.digest, store.root)
    assert masks(store, child)[0, 3].all()
    labels = LabelSet.open(store.folder(child.ref))
    assert labels.quality["area"][0] == 1.0
    assert labels.quality["agreement"][0] == pytest.approx(masks(store, manifest)[0, 3].mean())


def test_files_named_as_images_are_taken_too(parent: tuple[Store, Manifest], tmp_path: Path) -> None:
    store, manifest = parent
    Image.fromarray(np.zeros((101, 101), np.uint8)).save(tmp_path / "ring.png")
    child = import_labels(tmp_path, manifest.digest, store.root)
    assert LabelSet.open(store.folder(child.ref)).index.ids == ("ring",)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_there_is_never_replaced(parent: tuple[Store, Manifest], tmp_path: Path, form: Format) -> None:
    store, manifest = parent
    names = {"palette": "50%#1.png", "coco": "instances.json", "cvat": "annotations.xml", "label-studio": "tasks.json"}
    name = names[form]
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / name).write_text("mine")
    before = files(tmp_path / "own")
    with pytest.raises(SpecError, match=f"{name}' is there already.*nothing was written"):
        export_labels(manifest.digest, tmp_path / "own", None, store.root, form)
    assert files(tmp_path / "own") == before


def test_names_are_ids_where_these_are_names() -> None:
    names = mask_names(IDS)
    assert names[:5] == ["ring", "ab c", "50%#1", mask_names(["-x"])[0], "a.b.c"]
    assert len({name.casefold() for name in names}) == len(IDS)
    assert all("/" not in name and not name.startswith(("-", ".")) and len(name.encode()) <= 200 for name in names)
    assert mask_names(["../../etc/passwd", "CON\x00", "\udcff"]) == mask_names(
        ["../../etc/passwd", "CON\x00", "\udcff"]
    )


def painted(value: int, size: tuple[int, int] = (101, 101)) -> Callable[[Path], None]:
    return lambda folder: Image.fromarray(np.full(size, value, np.uint8)).save(folder / "ring.png")


def changed(name: str, **values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**content, **values}))

    return change


OUTSIDE = [{"id": "ring", "file": "../../x.png"}]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (painted(3), DataError, "holds the value 3; .* has 0 .background. and 5, 6"),
        (painted(255), DataError, "holds the value 255"),
        (painted(9), DataError, r"image 'ring' shows class 4, which is not among its tags \(class 3\)"),
        (painted(8, (100, 101)), DataError, "mask of image 'ring' is 100 x 101, the image is 101 x 101"),
        (lambda folder: (folder / "ring.png").unlink(), WilssError, "ring.png"),
        (lambda folder: (folder / "ring.png").write_bytes(b"x"), DataError, "ring.png"),
        (
            lambda folder: Image.new("P", (37, 23)).save(folder / "50%#1.png"),
            DataError,
            "is not what its masks in 'layers'",
        ),
        (lambda folder: (folder / "layers/50%#1.5.png").unlink(), WilssError, "50%#1.5.png"),
        (lambda folder: (folder / "labels.json").write_text("["), FormatError, "labels.json' is damaged"),
        (changed("labels.json", classes=[]), DataError, "has the classes {}, the label set"),
        (changed("labels.json", format=9), FormatError, "Upgrade"),
        (changed("labels.json", images=OUTSIDE), DataError, "which is not in its folder"),
        (changed("labels.json", images=OUTSIDE * 2), DataError, "lists image 'ring' twice"),
        (changed("labels.json", images=[{"id": "no", "file": "ring.png"}]), DataError, "'no' is not in this label set"),
    ],
)
def test_what_cannot_be_taken_is_told(
    parent: tuple[Store, Manifest], tmp_path: Path, change: Callable[[Path], None], error: type[Exception], words: str
) -> None:
    store, manifest = parent
    export_labels(manifest.digest, tmp_path / "one", None, store.root)
    change(tmp_path / "one")
    with pytest.raises(error, match=words):
        import_labels(tmp_path / "one", manifest.digest, store.root)
    assert len(store.all("labels")) == 1


def annotation(**values: object) -> Callable[[Path], None]:
    runs = {"image_id": 1, "category_id": 8, "segmentation": {"size": [101, 101], "counts": [101 * 101]}}
    return changed("instances.json", annotations=[{**runs, **values}])


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (annotation(category_id=99), DataError, "image 1 and category 99, which it does not list"),
        (annotation(image_id=99), DataError, "image 99"),
        (annotation(segmentation=[[1, 2, 3, 4, 5, 6]]), FormatError, "'annotations.0.segmentation"),
        (annotation(segmentation={"size": [101, 101], "counts": [1, 2]}), DataError, "run lengths of image 'ring'"),
        (annotation(segmentation={"size": [101, 101], "counts": "x~"}), DataError, "do not fill it"),
        (annotation(segmentation={"size": [10, 10], "counts": [100]}), DataError, "do not fill it"),
        (annotation(segmentation={"size": [2**40, 2**40], "counts": [2**80]}), DataError, "do not fill it"),
        (changed("instances.json", images=[]), DataError, "annotation of image"),
        (changed("instances.json", categories=3), FormatError, "'categories' is 3"),
    ],
)
def test_coco_that_cannot_be_taken_is_told(
    parent: tuple[Store, Manifest], tmp_path: Path, change: Callable[[Path], None], error: type[Exception], words: str
) -> None:
    store, manifest = parent
    export_labels(manifest.digest, tmp_path / "one", None, store.root, "coco")
    change(tmp_path / "one")
    with pytest.raises(error, match=words):
        import_labels(tmp_path / "one", manifest.digest, store.root)
