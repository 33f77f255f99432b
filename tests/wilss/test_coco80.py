"""COCO's 80 classes in the numbering of few-shot folds."""

import json
from pathlib import Path

import pytest
import torch

from tests.wilss.test_coco import coco_folder
from wilss.data.any_folder import open_folder
from wilss.data.check import check_folder
from wilss.data.coco.names import COCO_CLASSES
from wilss.data.coco.objects import CocoSource
from wilss.data.coco.split import CocoSplit
from wilss.data.mask_reading import Drawn
from wilss.data.spec import DataSpec
from wilss.fewshot.episodes.lists import build_list, read_areas

CROWD = {"counts": [0, 40, 560], "size": [20, 30]}


def test_ids_follow_cocos_own_order(tmp_path: Path) -> None:
    split = CocoSplit(coco_folder(tmp_path / "coco"), "train2017")
    source = CocoSource(split, split)
    assert source.classes == COCO_CLASSES
    assert (source.classes[0], source.classes[7], source.classes[9]) == ("person", "truck", "traffic light")
    first, second, third = source.ids("train")
    assert first.startswith("train/")
    mask = source.mask(first)
    assert mask.unique().tolist() == [0, 8, 10, 255]
    assert mask[9, 9] == 10
    assert source.tags("train") == ((8, 10), (1,), ())
    areas = {image.image_id: dict(image.areas) for image in read_areas(source, (first, second, third))}
    assert list(areas[first]) == [8, 10]
    assert min(areas[first].values()) > 0
    assert areas[third] == {}
    assert source.image(first).shape == (3, 20, 30)
    assert torch.equal(source.mask(first.replace("train/", "eval/")), mask)
    source.check()
    assert source.skipped == 0


def test_a_class_that_only_a_crowd_shows_is_known_too(tmp_path: Path) -> None:
    root = coco_folder(tmp_path / "coco")
    path = root / "annotations" / "instances_train2017.json"
    content = json.loads(path.read_text())
    person = next(a for a in content["annotations"] if a["category_id"] == 1)
    content["annotations"].append({**person, "id": 99, "image_id": 1, "iscrowd": 1, "segmentation": CROWD})
    path.write_text(json.dumps(content))
    split = CocoSplit(root, "train2017")
    images = read_areas(CocoSource(split, split), ("train/000000000001", "train/000000000003"))
    assert {c: area > 0 for c, area in images[0].areas.items()} == {1: False, 8: True, 10: True}
    assert build_list(images, (8, 10), 1, drop=(2,)).images == images[:1]
    assert build_list(images, (8, 10), 1, drop=(1,)).images == ()
    assert build_list(images, (1, 8), 1).present(0) == (8,)


def test_unreadable_images_are_left_out_if_asked(tmp_path: Path) -> None:
    root = coco_folder(tmp_path / "coco")
    (root / "train2017" / "000000000002.jpg").write_bytes(b"no image")
    split = CocoSplit(root, "train2017", skip_unreadable=True)
    source = CocoSource(split, split)
    assert source.ids("eval") == ("eval/000000000001", "eval/000000000003")
    assert source.skipped == 1


def test_a_folder_is_looked_over_without_a_benchmark(tmp_path: Path) -> None:
    root = coco_folder(tmp_path / "coco")
    report = check_folder(open_folder(root), whole=True)
    assert (report.layout, report.images, report.labelled, report.sound, report.warned) == ("coco", 3, 2, True, False)
    assert report.classes == {"person": 1, "traffic light": 1, "truck": 1}
    assert set(report.shown) == {"", "person", "traffic light", "truck"}
    path = root / "annotations" / "instances_train2017.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["segmentation"] = []
    path.write_text(json.dumps(content))
    assert check_folder(open_folder(root), whole=True).warned
    path.write_text(path.read_text().replace('"name": "person"', '"name": "weed"'))
    report = check_folder(open_folder(root), whole=True)
    assert (report.sound, report.images) == (False, 0)
    assert "wilss data import coco" in report.findings[0].cure


@pytest.mark.parametrize("drawn", ["raw", "upright", None])
def test_a_folder_is_looked_over_as_its_masks_were_drawn(tmp_path: Path, drawn: Drawn | None) -> None:
    source = open_folder(coco_folder(tmp_path / "coco"), DataSpec(masks=drawn))
    assert isinstance(source, CocoSource)
    assert (source.train.drawn, source.evaluation.drawn) == (drawn, drawn)
