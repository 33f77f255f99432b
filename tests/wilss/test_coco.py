"""COCO as base data: masks from annotations, the numbering of COCO-to-VOC, which images are base images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from tests.flows.test_cli import voc_folder
from wilss.data.coco.names import CLASS_OF_VOC, CLASSES, COCO_IDS, N_BASE, PROMPTS, VOC_TO_COCO
from wilss.data.coco.source import CocoToVocSource
from wilss.data.coco.split import CocoSplit
from wilss.data.files import read_rgb
from wilss.data.voc import VocSource
from wilss.data.voc_names import VOC_PROMPTS
from wilss.errors import DataError, DataNotFoundError
from wilss.protocol import benchmark, step_images


def square(left: int, top: int, side: int) -> list[list[int]]:
    return [[left, top, left + side, top, left + side, top + side, left, top + side]]


def coco_folder(root: Path, **changes: Any) -> Path:
    """Three images: a truck with a traffic light on it and a crowd of trucks; a person; nothing."""
    (root / "annotations").mkdir(parents=True)
    (root / "train2017").mkdir()
    for number in (1, 2, 3):
        Image.fromarray(np.full((20, 30, 3), 40 * number, np.uint8)).save(root / "train2017" / f"{number:012d}.jpg")
    crowd = {"counts": [0, 40, 560], "size": [20, 30]}
    shapes = [
        (1, 8, square(5, 5, 10), 0, 100.0),
        (1, 10, square(8, 8, 3), 0, 9.0),
        (1, 8, crowd, 1, 40.0),
        (2, 1, square(2, 2, 6), 0, 36.0),
    ]
    annotations = [
        {
            "id": k,
            "image_id": i,
            "category_id": c,
            "segmentation": s,
            "iscrowd": crowded,
            "area": a,
            "bbox": [0, 0, 1, 1],
        }
        for k, (i, c, s, crowded, a) in enumerate(shapes, start=1)
    ]
    content = {
        "images": [{"id": n, "file_name": f"{n:012d}.jpg", "height": 20, "width": 30} for n in (1, 2, 3)],
        "categories": [{"id": k, "name": name} for k, name in COCO_IDS.items()],
        "annotations": annotations,
        **changes,
    }
    (root / "annotations" / "instances_train2017.json").write_text(json.dumps(content))
    return root


def test_numbering_is_that_of_the_published_benchmark() -> None:
    assert len(CLASSES) == 80
    assert len(set(CLASSES)) == 80
    ids = [next(k for k, name in COCO_IDS.items() if name == c) for c in CLASSES]
    assert ids[N_BASE:] == [1, 2, 3, 4, 5, 6, 7, 9, 16, 17, 18, 19, 20, 21, 44, 62, 63, 64, 67, 72]
    assert ids[:N_BASE] == sorted(set(COCO_IDS) - set(VOC_TO_COCO))
    names = {voc: CLASSES[c - 1] for voc, c in zip(VOC_PROMPTS, CLASS_OF_VOC, strict=True)}
    assert names["aeroplane"] == "airplane"
    assert names["motorbike"] == "motorcycle"
    assert names["diningtable"] == "dining table"
    assert names["pottedplant"] == "potted plant"
    assert names["sofa"] == "couch"
    assert names["tvmonitor"] == "tv"
    assert all(names[k] == k for k in ("bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dog"))
    assert "sofa" in PROMPTS["couch"]


def test_masks_have_smaller_instances_on_top_and_crowds_void(tmp_path: Path) -> None:
    split = CocoSplit(coco_folder(tmp_path), "train2017")
    mask = split.mask("000000000001")
    truck, light = CLASSES.index("truck") + 1, CLASSES.index("traffic light") + 1
    assert mask.shape == (20, 30)
    assert int(mask[9, 9]) == light
    assert int(mask[6, 6]) == truck
    assert int(mask[0, 0]) == int(mask[19, 1]) == 255  # the crowd: the first two columns
    assert int(mask[0, 5]) == 0
    assert split.tags("000000000001") == tuple(sorted((truck, light)))


def test_base_images_show_no_class_of_voc_and_may_be_empty(tmp_path: Path) -> None:
    coco = CocoSplit(coco_folder(tmp_path / "coco"), "train2017")
    voc = VocSource(voc_folder(tmp_path / "voc"), "train_aug", "dev")
    source = CocoToVocSource(coco, coco, voc)
    ids, tags = source.ids("train"), source.tags("train")
    protocol = benchmark("coco-to-voc")
    base = [ids[i] for i in step_images(tags, protocol, 0, "overlap")]
    assert base == ["coco/000000000001", "coco/000000000003"]
    assert base == [ids[i] for i in step_images(tags, protocol, 0, "disjoint")]
    assert [ids[i] for i in step_images(tags, protocol, 1, "overlap")] == [f"voc/{i}" for i in voc.ids("train")]
    plant = CLASSES.index("potted plant") + 1
    assert set(source.mask("voc/2007_000000").unique().tolist()) == {0, plant}
    assert source.image("voc/2007_000000").shape == (3, 40, 48)
    assert source.ids("eval") == tuple(f"coco-eval/{i}" for i in coco.ids)
    assert source.further_eval["voc"][0] == "voc/2007_000006"
    source.check()
    coco.path("000000000003").unlink()
    with pytest.raises(DataError, match="does not exist, but the annotations list it"):
        source.check()


def test_unreadable_images_are_left_out_if_asked(tmp_path: Path) -> None:
    voc = VocSource(voc_folder(tmp_path / "voc"), "train_aug", "dev")
    root = coco_folder(tmp_path / "coco")
    missing, wrong_size, whole = ((root / "train2017" / f"{number:012d}.jpg") for number in (1, 2, 3))
    missing.unlink()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(wrong_size)
    coco = CocoSplit(root, "train2017", skip_unreadable=True)
    assert coco.ids == (whole.stem,)
    source = CocoToVocSource(coco, coco, voc)
    source.check()
    assert source.skipped == 2
    whole.write_bytes(whole.read_bytes()[:100])
    assert CocoSplit(root, "train2017", skip_unreadable=True).ids == ()


def test_images_of_another_size_than_their_annotations_are_named(tmp_path: Path) -> None:
    split = CocoSplit(coco_folder(tmp_path), "train2017")
    split.check(split.ids)
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6  # stored lying, shown standing
    Image.new("RGB", (20, 30)).save(split.path("000000000003"), exif=turned)
    assert split.mask("000000000003").shape == (20, 30)
    split.check(split.ids)
    Image.new("RGB", (30, 20)).save(split.path("000000000003"), exif=turned)  # annotated as stored: turned with it
    assert split.mask("000000000003").shape == (30, 20)
    assert [finding.kind for finding in split.findings()] == ["orientation"]
    split.check(split.ids)
    turned[ExifTags.Base.Orientation] = 3  # nothing tells which way it was annotated
    Image.new("RGB", (30, 20)).save(split.path("000000000003"), exif=turned)
    with pytest.raises(DataError, match="fits it both ways; say with --set data"):
        split.check(split.ids)
    raw, upright = (CocoSplit(split.root, "train2017", drawn=drawn) for drawn in ("raw", "upright"))
    Image.new("RGB", (30, 20)).save(split.path("000000000001"), exif=turned)
    assert bool((raw.mask("000000000001").flip(0, 1) == upright.mask("000000000001")).all())
    Image.new("RGB", (30, 20)).save(split.path("000000000001"))
    Image.new("RGB", (30, 20)).save(split.path("000000000003"))
    Image.new("RGB", (15, 10)).save(split.path("000000000002"))
    with pytest.raises(DataError, match=r"is \(10, 15\), its annotations are made for \(20, 30\)"):
        split.check(split.ids)


def test_mistakes_are_told(tmp_path: Path) -> None:
    root = coco_folder(tmp_path / "a", categories=[{"id": 1, "name": "cat"}])
    with pytest.raises(DataNotFoundError, match="has no COCO split 'val2017'; there: train2017"):
        CocoSplit(root, "val2017")
    with pytest.raises(
        DataError, match=r"calls category 1 'cat'.*: wilss data import coco .* --images .*train2017 --to"
    ):
        _ = CocoSplit(root, "train2017").ids
    (root / "annotations" / "instances_train2017.json").write_text("{")
    with pytest.raises(DataError, match="is no COCO annotation file"):
        _ = CocoSplit(root, "train2017").ids


def test_annotations_from_others_ask_for_nothing_huge(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "000000000001.jpg", "height": 10**7, "width": 10**7}]
    with pytest.raises(DataError, match="gives image '000000000001' 10000000 x 10000000 pixels"):
        CocoSplit(coco_folder(tmp_path / "a", images=images), "train2017").mask("000000000001")
    outline = {"id": 7, "image_id": 1, "category_id": 8, "iscrowd": 1, "area": 4.0, "bbox": [0, 0, 1, 1]}
    for shape, message in (
        ({"counts": [0, 40, 10**12], "size": [20, 30]}, "annotation 7 "),
        ({"counts": "nonsense", "size": [20, 30]}, "annotation 7 "),
        ({"counts": [0, 4], "size": [2, 2]}, "annotation 7 "),
    ):
        root = coco_folder(
            tmp_path / str(len(list(tmp_path.iterdir()))), annotations=[{**outline, "segmentation": shape}]
        )
        with pytest.raises(DataError, match=message):
            CocoSplit(root, "train2017").mask("000000000001")
    (root / "annotations" / "instances_train2017.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match="is no COCO annotation file"):
        _ = CocoSplit(root, "train2017").ids


def test_real_annotations(real_data: Path) -> None:
    split = CocoSplit(real_data / "coco128", "train2017")
    assert len(split.ids) == 128
    assert sum(not split.tags(i) for i in split.ids) == 2
    for image_id in split.ids[:8]:
        mask = split.mask(image_id)
        assert set(mask.unique().tolist()) - {0, 255} <= set(split.tags(image_id))
        assert mask.shape == read_rgb(split.path(image_id)).shape[1:]
