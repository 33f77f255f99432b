"""Label sets as files of other tools: palette PNGs, or one JSON file of COCO's form with run lengths."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from stores.artefacts import Store
from stores.labels.card import read_card
from stores.labels.names import mask_names, require_absent
from stores.labels.sets import LabelSet
from wilss.data.voc import save_palette_png
from wilss.errors import SpecError, did_you_mean
from wilss.outputs import whole_file, writable_folder
from wilss.report.pictures import flatten_layers

Format = Literal["palette", "coco"]
TABLE = "labels.json"
COCO = "instances.json"
LAYERS = "layers"
FORMAT = 1
Masks = NDArray[np.uint8]


def export_labels(digest: str, to: Path, stage: str | None, root: Path, form: Format = "palette") -> int:
    """Write a label set's masks at the images' own size into a folder; returns how many images they are of.

    "palette": ``NAME.png`` for each image, values are class ids, the smaller of two overlapping masks on top, and for
    an image whose masks overlap ``layers/NAME.ID.png`` for each of its classes; ``labels.json`` tells which image has
    which name. "coco": ``instances.json``. `stores.labels.imports.import_labels` takes either back.

    Raises SpecError for a stage the set does not have, and where a file of one of the names is there.
    """
    store = Store(root)
    manifest = store.get("labels", digest)
    folder = store.path("labels", manifest.digest)
    labels = LabelSet.open(folder)
    chosen = stage or labels.stage
    if chosen not in labels.index.stages:
        raise SpecError(
            f"label set {manifest.digest[:12]} has no stage '{chosen}'.{did_you_mean(chosen, labels.index.stages)}"
        )
    class_ids = read_card(manifest, folder, len(labels.index.classes)).class_ids
    writable_folder(to)
    (_write_palette if form == "palette" else _write_coco)(labels, chosen, class_ids, to)
    return len(labels)


def masks_of(labels: LabelSet, stage: str) -> Iterator[tuple[int, Masks]]:
    """Position of each image, and the masks of its tagged classes at its own size, uint8 ``(R, H, W)``."""
    for image in range(len(labels)):
        original, masks = labels.original_size(image), torch.from_numpy(labels.image_masks(stage, image))
        if len(masks):
            masks = F.interpolate(masks[:, None], original, mode="nearest-exact")[:, 0]
        yield image, masks.numpy() if len(masks) else np.zeros((0, *original), np.uint8)


def _write_palette(labels: LabelSet, stage: str, class_ids: tuple[int, ...], to: Path) -> None:
    names = mask_names(labels.index.ids)
    require_absent(to, [TABLE, LAYERS, *(f"{name}.png" for name in names)])
    layered = []
    for image, masks in masks_of(labels, stage):
        own = _ids(labels, image, class_ids)
        _save(flatten_layers(torch.from_numpy(masks), own), to / f"{names[image]}.png")
        if masks.sum(0, dtype=np.uint8).max(initial=0) > 1:
            layered.append(image)
            (to / LAYERS).mkdir(exist_ok=True)
            for mask, class_id in zip(masks, own, strict=True):
                _save(torch.from_numpy(mask * np.uint8(class_id)), to / LAYERS / f"{names[image]}.{class_id}.png")
    _write_json(to / TABLE, _table(labels, names, class_ids, set(layered)))


def _save(mask: torch.Tensor, path: Path) -> None:
    with whole_file(path) as partial:
        with_suffix = partial.with_name(f"{partial.name}.png")  # Pillow goes by it
        save_palette_png(mask, with_suffix)
        with_suffix.replace(partial)


def _table(labels: LabelSet, names: list[str], class_ids: tuple[int, ...], layered: set[int]) -> dict[str, Any]:
    images = [
        {"id": image_id, "file": f"{name}.png", "layers": image in layered}
        for image, (image_id, name) in enumerate(zip(labels.index.ids, names, strict=True))
    ]
    return {"format": FORMAT, "classes": _classes(labels, class_ids), "images": images}


def _classes(labels: LabelSet, class_ids: tuple[int, ...]) -> list[dict[str, Any]]:
    return [{"id": i, "name": name} for i, name in zip(class_ids, labels.index.classes, strict=True)]


def _write_coco(labels: LabelSet, stage: str, class_ids: tuple[int, ...], to: Path) -> None:
    require_absent(to, [COCO])
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image, masks in masks_of(labels, stage):
        height, width = masks.shape[1:]
        images.append({"id": image + 1, "file_name": labels.index.ids[image], "height": height, "width": width})
        for mask, class_id in zip(masks, _ids(labels, image, class_ids), strict=True):
            if mask.any():
                facts = {"id": len(annotations) + 1, "image_id": image + 1, "category_id": class_id, "iscrowd": 0}
                annotations.append({**facts, **_outline(mask)})
    _write_json(to / COCO, {"categories": _classes(labels, class_ids), "images": images, "annotations": annotations})


def _outline(mask: Masks) -> dict[str, Any]:
    from pycocotools import mask as coco

    runs = coco.encode(np.asfortranarray(mask))
    box = [int(value) for value in coco.toBbox(runs)]
    counts = runs["counts"].decode("ascii")
    return {"area": int(mask.sum()), "bbox": box, "segmentation": {"size": list(mask.shape), "counts": counts}}


def _ids(labels: LabelSet, image: int, class_ids: tuple[int, ...]) -> list[int]:
    """Class ids of an image's rows."""
    return [class_ids[channel] for channel in labels.index.tags[image].nonzero()[0]]


def _write_json(path: Path, content: Any) -> None:
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=0, ensure_ascii=True) + "\n")
