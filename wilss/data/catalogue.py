"""Class lists of the data families that have a fixed one."""

from __future__ import annotations

from wilss.data.coco import names as coco_names
from wilss.data.scenes.outlines import CLASSES
from wilss.data.voc_names import VOC_PROMPTS


def class_names(family: str) -> tuple[str, ...]:
    """Class names by id (from 1); empty for "folder", whose benchmark names them."""
    lists = {"scenes": CLASSES, "voc": tuple(VOC_PROMPTS), "coco-voc": coco_names.CLASSES, "folder": ()}
    return lists[family]
