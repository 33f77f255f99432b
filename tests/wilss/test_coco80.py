"""COCO's 80 classes in the numbering of few-shot folds."""

from pathlib import Path

import torch

from tests.wilss.test_coco import coco_folder
from wilss.data.coco import CocoSplit
from wilss.data.coco80 import CocoSource
from wilss.data.episode_lists import read_areas
from wilss.data.folds import COCO_CLASSES


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
    assert areas[third] == {}
    assert source.image(first).shape == (3, 20, 30)
    assert torch.equal(source.mask(first.replace("train/", "eval/")), mask)
    source.check()
    assert source.skipped == 0


def test_unreadable_images_are_left_out_if_asked(tmp_path: Path) -> None:
    root = coco_folder(tmp_path / "coco")
    (root / "train2017" / "000000000002.jpg").write_bytes(b"no image")
    split = CocoSplit(root, "train2017", skip_unreadable=True)
    source = CocoSource(split, split)
    assert source.ids("eval") == ("eval/000000000001", "eval/000000000003")
    assert source.skipped == 1
