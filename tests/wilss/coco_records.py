"""Annotation files with what a test wants in them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wilss.data.coco.names import CLASS_OF_COCO
from wilss.data.coco.split import CocoSplit

SQUARE = [[1, 1, 4, 1, 4, 4, 1, 4]]

RUNS = {"counts": [6, 1, 40, 4, 5, 4, 5, 4, 21], "size": [9, 10]}

PACKED = {"counts": "61X13mN000`0", "size": [9, 10]}
"""The same 13 pixels."""


def annotation(number: int, **changes: Any) -> dict[str, Any]:
    made = {
        **{"id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "area": 9.0, "bbox": [1, 1, 3, 3]},
        **{"segmentation": SQUARE, **changes},
    }
    return {key: value for key, value in made.items() if value is not ...}


def split_of(root: Path, annotations: list[dict[str, Any]], mutate: Callable[[Any], Any] | None = None) -> CocoSplit:
    """Images of 10 x 9 pixels, as many as annotations at least."""
    (root / "annotations").mkdir(parents=True)
    (root / "val2017").mkdir()
    numbers = range(1, max((len(annotations), 3)) + 1)
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 10, "height": 9} for n in numbers]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    if mutate:
        mutate(content)
    for entry in content.get("images", []):
        name = entry.get("file_name")
        if isinstance(name, str) and ".." not in name and name.isprintable() and name[0] != "/" and len(name) < 99:
            path = root / "val2017" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((9, 10, 3), 90, np.uint8)).save(path)
    (root / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    return CocoSplit(root, "val2017")


def kinds(split: CocoSplit) -> Counter[tuple[str, str]]:
    return Counter((finding.severity, finding.kind) for finding in split.findings())


def pixels(split: CocoSplit, image_id: str, class_id: int = CLASS_OF_COCO[1]) -> int:
    return int((split.mask(image_id) == class_id).sum())
