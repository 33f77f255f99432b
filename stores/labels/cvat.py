"""Label sets as CVAT's own XML ("CVAT 1.1"), out and in: masks stay masks, and those that overlap stay apart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from pydantic import Field

from stores.labels.exchange import (
    ADVICE,
    JSON_BYTES,
    Foreign,
    Found,
    Masks,
    Outgoing,
    channel_of,
    known_images,
    require_size,
)
from stores.labels.sets import LabelSet
from wilss.data.coco.run_lengths import filled, lengths_of
from wilss.errors import DataError, FormatError, SpecError
from wilss.outputs import whole_file
from wilss.outside import checked, read_xml

CVAT = "annotations.xml"
SHAPES = ("box", "cuboid", "ellipse", "points", "polygon", "polyline", "skeleton", "track")
NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
Length = Annotated[int, Field(ge=0, le=2**20)]


class _Mask(Foreign):
    label: str
    rle: str
    left: Length
    top: Length
    width: Length
    height: Length


class _Image(Foreign):
    name: str
    width: Length
    height: Length
    masks: tuple[_Mask, ...]


class _Document(Foreign):
    images: tuple[_Image, ...]


def write_cvat(of: Outgoing, to: Path) -> None:
    """Write ``annotations.xml``: a mask element for each mask that is not empty, large ones below small ones.

    Raises SpecError for names that XML cannot hold.
    """
    classes = of.labels.index.classes
    odd = [name for name in (*of.names, *classes) if NOT_XML.search(name)]
    if odd:
        raise SpecError(f"XML cannot hold the name {odd[0]!a:.100}; use --format coco")
    with whole_file(to / CVAT) as partial, partial.open("w", encoding="utf-8", newline="\n") as out:
        out.write(
            '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta><task><labels>\n'
        )
        out.writelines(f"<label><name>{escape(name)}</name><attributes></attributes></label>\n" for name in classes)
        out.write("</labels></task></meta>\n")
        for image, masks, channels in of.rows():
            size = f'width="{masks.shape[2]}" height="{masks.shape[1]}"'
            out.write(f'<image id="{image}" name={quoteattr(of.names[image])} {size}>\n')
            named = [(mask, classes[channel]) for mask, channel in zip(masks, channels, strict=True) if mask.any()]
            named.sort(key=lambda one: -int(one[0].sum()))
            out.writelines(_element(mask, name, z) for z, (mask, name) in enumerate(named))
            out.write("</image>\n")
        out.write("</annotations>\n")


def _element(mask: Masks, name: str, z: int) -> str:
    """A mask within its box, row by row, background first."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    flat = box.ravel()
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(ends, prepend=0, append=flat.size)
    text = ", ".join(map(str, [0, *runs.tolist()] if flat[0] else runs.tolist()))
    place = f'left="{columns[0]}" top="{rows[0]}" width="{box.shape[1]}" height="{box.shape[0]}"'
    return f'<mask label={quoteattr(name)} source="file" occluded="0" rle="{text}" {place} z_order="{z}"></mask>\n'


def read_cvat(path: Path, labels: LabelSet) -> Found:
    """Masks of CVAT's XML. Several of a class in an image are one mask; tags are passed over.

    Raises FormatError for what is not of this form, DataError for other shapes than masks, and for other classes and
    images than the label set's.
    """
    images = checked(_Document, {"images": _elements(path)}, path, ADVICE).images
    for image in images:
        for mask in image.masks:
            channel_of(path, mask.label, labels)
    ids = known_images(path, [image.name for image in images], labels)
    of = dict(zip(ids, images, strict=True))

    def masks(image_id: str) -> Masks:
        image = of[image_id]
        require_size((image.height, image.width), labels, image_id)
        whole = np.zeros((len(labels.index.classes), image.height, image.width), np.uint8)
        for mask in image.masks:
            part = _decoded(mask, image)
            if part is None:
                raise DataError(f"'{path}' has run lengths of image '{image_id}' that do not fill their box; {ADVICE}")
            at = whole[channel_of(path, mask.label, labels)]
            at[mask.top : mask.top + mask.height, mask.left : mask.left + mask.width] |= part
        return whole

    return Found(ids, masks)


def _decoded(mask: _Mask, image: _Image) -> Masks | None:
    """A mask within its box; None where that is not in the image, or is not filled."""
    parts = [part.strip() for part in mask.rle.split(",")]
    inside = mask.left + mask.width <= image.width and mask.top + mask.height <= image.height
    if not inside or not all(part.isascii() and part.isdecimal() and len(part) < 12 for part in parts):
        return None
    lengths = lengths_of([int(part) for part in parts], (mask.width, mask.height))
    return None if lengths is None else filled(lengths, (mask.width, mask.height)).T.astype(np.uint8)


def _elements(path: Path) -> list[dict[str, Any]]:
    images: list[dict[str, Any]] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag in SHAPES:
            raise DataError(
                f"'{path}' has a shape of another kind than a mask ({tag}); draw it with CVAT's brush, or export the "
                "task as 'CVAT for images 1.1'"
            )
        if tag == "image":
            images.append({**attributes, "masks": []})
        elif tag == "mask":
            if not images:
                raise FormatError(f"'{path}' is damaged (it has a mask outside of an image); {ADVICE}")
            images[-1]["masks"].append(attributes)

    read_xml(path, ADVICE, start, JSON_BYTES)
    if not images:
        raise DataError(f"'{path}' has no image; export the task as 'CVAT for images 1.1'")
    return images
