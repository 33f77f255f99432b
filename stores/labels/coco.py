"""Label sets as COCO's JSON with run lengths, out and in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, StrictInt

from stores.labels.exchange import (
    ADVICE,
    Foreign,
    Found,
    Masks,
    Outgoing,
    known_images,
    require_once,
    require_size,
    write_json,
)
from stores.labels.sets import LabelSet
from wilss.data.coco.run_lengths import filled, lengths_of
from wilss.errors import DataError
from wilss.outside import checked

COCO = "instances.json"
FROM_CVAT = "annotations/instances_default.json"
"""Where CVAT's archive of this form has it."""
Id = Annotated[int, Field(ge=0, lt=2**53)]


class Category(Foreign):
    """A class of a file."""

    id: Id
    name: str


class _Image(Foreign):
    id: Id
    file_name: str
    height: Annotated[int, Field(ge=1, le=2**20)]
    width: Annotated[int, Field(ge=1, le=2**20)]


class _Runs(Foreign):
    size: tuple[StrictInt, StrictInt]
    counts: str | tuple[StrictInt, ...]


class _Annotation(Foreign):
    image_id: Id
    category_id: Id
    segmentation: _Runs


class _Coco(Foreign):
    categories: tuple[Category, ...]
    images: tuple[_Image, ...]
    annotations: tuple[_Annotation, ...]


def write_coco(of: Outgoing, to: Path) -> None:
    """Write ``instances.json``: an annotation for each mask that is not empty."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image, masks, channels in of.rows():
        height, width = masks.shape[1:]
        images.append({"id": image + 1, "file_name": of.names[image], "height": height, "width": width})
        for mask, channel in zip(masks, channels, strict=True):
            if mask.any():
                facts = {"id": len(annotations) + 1, "image_id": image + 1, "category_id": of.class_ids[channel]}
                annotations.append({**facts, "iscrowd": 0, **outline(mask)})
    categories = [{"id": i, "name": name} for i, name in zip(of.class_ids, of.labels.index.classes, strict=True)]
    write_json(to / COCO, {"categories": categories, "images": images, "annotations": annotations})


def outline(mask: Masks) -> dict[str, Any]:
    """Run lengths, area and box of a mask uint8 ``(H, W)`` as COCO writes them; holes are holes."""
    from pycocotools import mask as coco

    runs = coco.encode(np.asfortranarray(mask))
    box = [int(value) for value in coco.toBbox(runs)]
    counts = runs["counts"].decode("ascii")
    return {"area": int(mask.sum()), "bbox": box, "segmentation": {"size": list(mask.shape), "counts": counts}}


def read_coco(path: Path, read: Any, labels: LabelSet) -> Found:
    """Masks of COCO's JSON. Other tools number the classes anew and add suffixes: names tell what is meant.

    Raises FormatError for what is not of this form (outlines as polygons are not), DataError for other classes and
    images than the label set's.
    """
    content = checked(_Coco, read, path, ADVICE)
    channel = _channels(path, content.categories, labels)
    require_once(path, [str(image.id) for image in content.images])
    ids = known_images(path, [image.file_name for image in content.images], labels)
    named = {image.id: image_id for image, image_id in zip(content.images, ids, strict=True)}
    sizes = {named[image.id]: (image.height, image.width) for image in content.images}
    rows: dict[str, list[_Annotation]] = {image_id: [] for image_id in ids}
    for annotation in content.annotations:
        if annotation.image_id not in named or annotation.category_id not in channel:
            seen = f"image {annotation.image_id} and category {annotation.category_id}"
            raise DataError(f"'{path}' has an annotation of {seen}, which it does not list; {ADVICE}")
        rows[named[annotation.image_id]].append(annotation)

    def masks(image_id: str) -> Masks:
        require_size(sizes[image_id], labels, image_id)
        whole = np.zeros((len(labels.index.classes), *sizes[image_id]), np.uint8)
        for row in rows[image_id]:
            runs = row.segmentation
            lengths = lengths_of(runs.counts, runs.size) if tuple(runs.size) == sizes[image_id] else None
            if lengths is None:
                raise DataError(f"'{path}' has run lengths of image '{image_id}' that do not fill it; {ADVICE}")
            whole[channel[row.category_id]] |= filled(lengths, runs.size)
        return whole

    return Found(ids, masks)


def _channels(path: Path, categories: Sequence[Category], labels: LabelSet) -> dict[int, int]:
    """Category -> channel of the label set."""
    names, wanted = sorted(one.name for one in categories), labels.index.classes
    if names != sorted(wanted) or len({one.id for one in categories}) != len(wanted):
        seen = {one.id: one.name for one in categories}
        raise DataError(
            f"'{path}' has the classes {seen!s:.200}, the label set {', '.join(wanted):.200}; name another parent"
        )
    return {one.id: wanted.index(one.name) for one in categories}
