"""Masks of colours or of other numbers, as a table tells what they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wilss.data.bring.batch import Batch, Drawn, Item, left, softened
from wilss.data.bring.maps import PixelMap
from wilss.data.bring.tables import folder_index
from wilss.data.colours import table_of_masks
from wilss.data.files import decoding, opened
from wilss.data.findings import Finding
from wilss.data.gate import from_message
from wilss.data.index import index_masks
from wilss.data.looks import Looks, in_threads, packed_colours
from wilss.data.mask_pixels import decode_mask
from wilss.data.mask_reading import PLAIN, Reading, reading_of
from wilss.data.stamps import Stamps
from wilss.errors import DataError, DataNotFoundError


def from_masks(masks: Path, images: Path, table: PixelMap, drawn: Drawn | None = None) -> Batch:
    """Images with a mask each, which are found by name (a.jpg: a.png, a.jpg.png, a_mask.png), sub-folders included.

    Where the table has numbers, palettes are held against each other as in a data folder (see `reading_of`).

    Args:
        table: what pixels stand for. drawn: see `Batch`.

    Raises DataNotFoundError for a folder that is not there or holds nothing.
    """
    index = folder_index(images)
    if not masks.is_dir():
        raise DataNotFoundError(f"'{masks}' is no folder; name that of the masks")
    found = index_masks(masks, index, deep=True)
    if not found.files:
        raise DataNotFoundError(f"'{masks}' holds no mask of an image of '{images}'; name them alike")
    findings = [*softened(index.told()), *softened(found.told())]
    cure = "rename it as its image, or give its image"
    findings += [left("mask-without-image", path, "belongs to no image", cure) for path in found.orphans]
    readings = {} if table.coloured else _readings(found.files)
    items, shown = [], set[int]()
    for image_id, path in index.files.items():
        mask = found.files.get(image_id)
        if mask is None:
            findings.append(left("no-mask", path, f"has no mask in '{masks}'", "give one, or leave the image out"))
            continue
        reading = readings.get(image_id, PLAIN)
        problem, values = _looked_at(mask, table, reading)
        if problem:
            findings.append(problem)
            continue
        if reading.note:
            findings.append(Finding("note", "mask-colours", str(mask), reading.note, "nothing has to be done"))
        shown |= values
        items.append(Item(image_id, path, (), partial(read_mapped, mask, table, reading)))
    masked = frozenset(table.classes[v - 1] for v in shown if 0 < v <= len(table.classes))
    return Batch(table.classes, masked, tuple(items), tuple(findings), drawn, len(index.files) - len(items))


def read_mapped(path: Path, table: PixelMap, reading: Reading = PLAIN) -> NDArray[np.uint8]:
    """A mask with its pixels as the table has them, uint8 ``(H, W)``.

    Args:
        reading: which numbers the indices of its palette stand for.

    Raises DataError for one that cannot be read, or holds a colour or number that the table does not name.
    """
    if reading.problem:
        raise DataError(f"'{path}' {reading.problem}")
    pixels = _pixels(path, table.coloured, reading)
    packed = packed_colours(pixels) if table.coloured else pixels
    known = {_packed(pixel): value for pixel, value in table.values.items()}
    present, place = np.unique(packed, return_inverse=True)
    if unknown := [int(value) for value in present.tolist() if value not in known]:
        count = int((packed == unknown[0]).sum())
        what = f"the colour {_unpacked(unknown[0])}" if table.coloured else f"the number {unknown[0]}"
        raise DataError(
            f"'{path}' holds {what} in {count} pixels, and {len(unknown)} that {table.origin} does not name; add them, "
            "or save masks as PNG, which keeps colours"
        )
    values = np.array([known[int(value)] for value in present.tolist()], np.uint8)
    return values[place].reshape(packed.shape)


def _readings(files: Mapping[str, Path]) -> dict[str, Reading]:
    """How masks with palettes are read, by what the palettes agree on."""
    looks = dict(zip(files, in_threads(Looks(Stamps(None)).mask, files.values()), strict=True))
    agreed = table_of_masks(looks.values())
    return {image_id: reading_of(look, agreed, strict=False) for image_id, look in looks.items() if look.palette}


def _looked_at(path: Path, table: PixelMap, reading: Reading) -> tuple[Finding | None, set[int]]:
    try:
        return None, set(np.unique(read_mapped(path, table, reading)).tolist())
    except (DataError, DataNotFoundError) as error:
        return from_message("warn", "mask", str(path), str(error)), set()


def _pixels(path: Path, coloured: bool, reading: Reading) -> NDArray[Any]:
    """Numbers ``(H, W)``, or colours ``(H, W, 3)``; numbers may have 16 bits."""
    with opened(path) as image, decoding(path):
        if not coloured and image.mode.startswith(("I", "F")):
            values = np.array(image)
            if not np.isfinite(values).all() or (values != np.trunc(values)).any():
                raise DataError(f"'{path}' holds values that are no whole numbers; save masks as PNG of class ids")
            return values.astype(np.int64)
        mask = decode_mask(image)
        if mask.problem:
            raise DataError(f"'{path}' {mask.problem}")
        if not coloured:
            return _numbers(path, mask.values if reading.indices is None else reading.apply(mask))
        return mask.values if mask.is_colour else np.array(image.convert("RGB"))


def _numbers(path: Path, values: NDArray[np.uint8]) -> NDArray[np.int64]:
    if values.ndim == 3:
        if (values == values[..., :1]).all():
            return values[..., 0].astype(np.int64)
        raise DataError(f"'{path}' holds colours; give their table with --colours")
    return values.astype(np.int64)


def _packed(pixel: object) -> int:
    if isinstance(pixel, tuple):
        red, green, blue = pixel
        return int(red << 16 | green << 8 | blue)
    assert isinstance(pixel, int)
    return pixel


def _unpacked(packed: int) -> tuple[int, int, int]:
    return packed >> 16, packed >> 8 & 255, packed & 255
