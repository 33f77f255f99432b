"""Reading an image that is to be segmented, and writing what a student sees in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stores.labels.coco import outline
from stores.models.predict_inputs import Stamp, stamp_of
from stores.models.predict_options import MASK, OVERLAY
from wilss.data.files import FORMATS, as_rgb, decoding, header_of, opened
from wilss.data.images import to_canvas
from wilss.data.palette import Colour
from wilss.data.voc import save_palette_png
from wilss.errors import DataError, DataNotFoundError
from wilss.outputs import whole_file
from wilss.report.pictures import overlay, to_pil

BAND = 1 << 18
"""Pixels of an overlay that are mixed at once: in floats a photograph takes four times its size, several times."""
BLOCK = 64 << 20
ANIMATED = ("GIF", "WEBP", "PNG", "TIFF")


@dataclass(frozen=True)
class Loaded:
    """A decoded image, uint8 ``(3, H, W)``, and the same fitted to the canvas, where that is looked at.

    image: None where it cannot be decoded, which ``problem`` tells. stamp: of the file that was read.
    note: what else is to be said of it.
    """

    image: Tensor | None
    stamp: Stamp = (0, 0)
    small: Tensor | None = None
    problem: str = ""
    note: str = ""


def pixels_of(path: Path) -> int:
    """Pixels of an image by its header; 0 where they cannot be told."""
    try:
        with opened(path, formats=(*FORMATS, "GIF")) as image, decoding(path):
            height, width = header_of(image).size
            return height * width
    except (DataError, DataNotFoundError):
        return 0


def load(path: Path, canvas: int | None) -> Loaded:
    """Decode an image as training does; of several frames or pages the first.

    Args:
        canvas: to fit it to as well; None where it is looked at in full size.
    """
    stamp = stamp_of(path) or (0, 0)
    try:
        decoded, note = _decoded(path)
    except (DataError, DataNotFoundError) as error:
        return Loaded(None, problem=str(error).partition("; ")[0])
    return Loaded(decoded, stamp, to_canvas(decoded, canvas) if canvas is not None else None, note=note)


def _decoded(path: Path) -> tuple[Tensor, str]:
    """An image, and what is to be said of its file; Pillow's copy of the pixels goes with the call."""
    _take_large_blocks()
    with opened(path, formats=(*FORMATS, "GIF")) as image, decoding(path):
        several = image.format in ANIMATED and getattr(image, "is_animated", False)
        note = f"'{path}' has {getattr(image, 'n_frames', 1)} frames; the first is taken" if several else ""
        return as_rgb(image), note


def _take_large_blocks() -> None:
    """Have Pillow take memory for large images in blocks that go back to the system when they are freed.

    Blocks of up to 32 MB, as its own are, stay with the thread that had them: the pixels of an image that was decoded
    in one thread would be held while another draws over it.
    """
    if take := getattr(getattr(Image, "core", None), "set_block_size", None):
        take(BLOCK)


def write_picture(
    image_3HW: Tensor, labels_HW: Tensor, stem: Path, endings: tuple[str, ...], colours: Mapping[int, Colour]
) -> list[Path]:
    """Write what is asked for of one image: a palette PNG of its labels, and the colours over the image."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    targets = [stem.with_name(stem.name + ending) for ending in endings]
    for target, ending in zip(targets, endings, strict=True):
        with whole_file(target) as partial:
            if ending == MASK:
                save_palette_png(labels_HW, partial, colours)
            elif ending == OVERLAY:
                drawn_over(image_3HW, labels_HW, colours).save(partial, "PNG")
    return targets


def drawn_over(image_3HW: Tensor, labels_HW: Tensor, colours: Mapping[int, Colour]) -> Image.Image:
    """Colours of labels over an image, some rows at a time."""
    height, width = labels_HW.shape
    picture = Image.new("RGB", (width, height))
    for rows in _bands(labels_HW):
        picture.paste(to_pil(overlay(image_3HW[:, rows], labels_HW[rows], own=colours)), (0, rows.start))
    return picture


def _bands(labels_HW: Tensor) -> Iterator[slice]:
    """Rows, some at a time."""
    height, width = labels_HW.shape
    step = max(1, BAND // width)
    yield from (slice(top, min(top + step, height)) for top in range(0, height, step))


def count_pixels(labels_HW: Tensor) -> dict[int, int]:
    """Class id -> pixels, of those that occur."""
    counts = torch.zeros(256, dtype=torch.int64)
    for rows in _bands(labels_HW):  # indices take 8 bytes a pixel
        counts += torch.bincount(labels_HW[rows].flatten(), minlength=256)
    return {class_id: int(count) for class_id, count in enumerate(counts.tolist()) if count}


def outlines_of(labels_HW: Tensor) -> list[dict[str, Any]]:
    """Annotations of COCO's form, one a class but background; ids are given where they are gathered."""
    labels = labels_HW.numpy()
    found = [class_id for class_id in count_pixels(labels_HW) if class_id]
    return [
        {"category_id": class_id, "iscrowd": 0, **outline((labels == class_id).astype(np.uint8))} for class_id in found
    ]
