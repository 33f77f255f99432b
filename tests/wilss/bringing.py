"""What people have, small, and a look at the folder that was made of it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import ExifTags, Image

from wilss.data.bring.build import Brought
from wilss.data.bring.coco import Part
from wilss.data.check import check_folder
from wilss.data.folder import FolderSource


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


def label_file(root: Path, shapes: list[dict[str, Any]], name: str = "a", **changes: Any) -> None:
    picture(root / f"{name}.jpg", len(name), (20, 30))
    content = {"version": "5.4", "shapes": shapes, "imagePath": f"{name}.jpg", "imageHeight": 20, "imageWidth": 30}
    (root / f"{name}.json").write_text(json.dumps({**content, "imageData": None, **changes}))


def shape(label: str, points: Any, kind: str = "polygon") -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}}


COLOURS: dict[int, tuple[int, int, int]] = {0: (0, 0, 0), 1: (250, 50, 83), 2: (51, 221, 255), 255: (9, 9, 9)}


def ids() -> NDArray[np.uint8]:
    mask = np.zeros((9, 10), np.uint8)
    mask[:3, :3], mask[4:6], mask[8] = 1, 2, 255
    return mask
