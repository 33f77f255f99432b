"""Masks of one object as people have them: any value for it, several objects in one file, colours. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wilss.data.files import decoding, header_of, opened
from wilss.data.mask_pixels import decode_mask
from wilss.data.mask_reading import lies_on, turned
from wilss.data.source import VOID
from wilss.errors import DataError, DataNotFoundError

SHOWN = 8


@dataclass(frozen=True)
class Mask:
    """What a mask holds: int64 ``(H, W)``, upright. name: for messages. is_colour: other colours than black are 1."""

    name: str
    values: NDArray[np.int64]
    is_colour: bool = False


def read_mask_of(name: str, image: object, path: str | Path) -> Mask:
    """Read the mask file of a support.

    Args:
        image: of the support: a file, whose EXIF turn its mask may share, or a decoded image.

    Raises DataNotFoundError for a missing file, DataError for what is no mask, and for one of another size.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFoundError(f"the mask '{path}' does not exist; name a mask after each image")
    with opened(path) as opened_mask, decoding(path):
        values, is_colour = _decoded(path, opened_mask)
    stored, size, orientation = _sizes(image, values.shape)
    turn, problem = lies_on(stored, size, orientation, (values.shape[0], values.shape[1]), "upright")
    if problem:
        raise DataError(f"'{name}' {problem}: '{path}'")
    return Mask(str(path), _turned(values, orientation) if turn else values, is_colour)


def _turned(values: NDArray[np.int64], orientation: int) -> NDArray[np.int64]:
    rows: Any = values
    return np.asarray(turned(rows, orientation), np.int64)


def _decoded(path: Path, image: Image.Image) -> tuple[NDArray[np.int64], bool]:
    if image.mode.startswith("I"):  # numbers of objects go beyond those of classes
        return np.array(image).astype(np.int64), False
    mask = decode_mask(image)
    if mask.problem:
        raise DataError(f"mask '{path}' {mask.problem}")
    if mask.is_colour:
        return np.asarray(mask.values.any(-1), np.int64), True
    return mask.values.astype(np.int64), False


def _sizes(image: object, own: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int], int]:
    """Height and width of an image as stored and upright, and its EXIF orientation."""
    if isinstance(image, str | Path):
        with opened(Path(image)) as file, decoding(Path(image)):
            header = header_of(file)
        return header.stored, header.size, header.orientation
    if isinstance(image, Image.Image):
        header = header_of(image)
        return header.size, header.size, 1
    shape = tuple(getattr(image, "shape", own))
    size = (shape[0], shape[1]) if shape[-1] == 3 and len(shape) == 3 and not hasattr(image, "device") else shape[-2:]
    return (int(size[0]), int(size[1])), (int(size[0]), int(size[1])), 1


def object_in(mask: Mask, object_id: int | None) -> NDArray[np.uint8]:
    """The object of a mask, uint8 ``(H, W)``: 1 it, 0 not, 255 left out.

    Without an id everything but 0 is the object. 255 is void as VOC has it, where the mask holds other values too and
    none above it; in masks of 0 and 255 it is the object.

    Raises DataError where there is none.
    """
    values = mask.values
    if object_id is not None and mask.is_colour:
        raise DataError(f"mask '{mask.name}' holds colours, which are no ids; leave --object out, or save ids as grey")
    known = np.unique(values)
    has_void = known.max(initial=0) == VOID and len(set(known.tolist()) - {0, VOID}) > 0
    found = (values != 0) if object_id is None else (values == object_id)
    if has_void and object_id != VOID:
        found &= values != VOID
    if not found.any():
        shown = ", ".join(map(str, known[:SHOWN])) + (", ..." if len(known) > SHOWN else "")
        what = "is empty" if object_id is None else f"has no pixel of object {object_id}"
        raise DataError(f"mask '{mask.name}' {what}: it holds {shown}; name a mask that shows the object")
    result = found.astype(np.uint8)
    if has_void and object_id != VOID:
        result[values == VOID] = VOID
    return result
