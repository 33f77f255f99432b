"""What follows from the contents of an image or mask file alone; found by decoding it once, and remembered."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wilss.data.ahead import MANY, look_ahead
from wilss.data.depth import eight_bit, raw_mode
from wilss.data.files import Header, decoding, header_of, opened, read_header
from wilss.data.mask_pixels import MaskPixels, decode_mask
from wilss.data.palette import Colour
from wilss.data.places.bringing import at_once
from wilss.data.places.place import MOST_BYTES
from wilss.data.stamps import DIGEST, Stamps
from wilss.errors import DataError, DataNotFoundError

IMAGE_LOOK, MASK_LOOK, HEADER = "image 1", "mask 1", "header 1"
"""Kinds of remembered facts; the number rises when they are found in another way."""
MOST_COLOURS = 512
"""Colours of a mask that are counted; more are no classes."""
MOST_AT_ONCE = 64
"""Things that a thread takes at once."""
Look = Callable[[Path, bytes | None], dict[str, str]]
"""Finds facts of a file; its bytes, where they are at hand."""
T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True)
class ImageLook:
    """Of an image: size as stored, orientation, greatest value of deep images (None of others), why it is none."""

    stored: tuple[int, int] = (0, 0)
    size: tuple[int, int] = (0, 0)
    orientation: int = 1
    brightest: int | None = None
    problem: str = ""


@dataclass(frozen=True)
class MaskLook:
    """Of a mask: height and width, mode, and pixels of each value, or of each colour of a colour mask.

    palette: colours of the values that occur, where the file has any. problem: why it cannot be a mask.
    """

    size: tuple[int, int] = (0, 0)
    mode: str = ""
    values: Mapping[int, int] = field(default_factory=dict)
    colours: Mapping[Colour, int] = field(default_factory=dict)
    palette: Mapping[int, Colour] = field(default_factory=dict)
    problem: str = ""


class Looks:
    """Looks at files, each once."""

    def __init__(self, stamps: Stamps) -> None:
        self.stamps = stamps

    def ahead(self, images: Iterable[Path] = (), masks: Iterable[Path] = ()) -> None:
        """Look at many files in several processes, where that pays, before they are asked for one by one."""
        for kind, paths in ((IMAGE_LOOK, images), (MASK_LOOK, masks)):
            unknown = self.stamps.unknown(paths, kind)
            if self.stamps.place.far:  # threads that wait for answers
                at_once(self.image if kind == IMAGE_LOOK else self.mask, unknown)
            elif len(unknown) >= MANY:
                look_ahead(self.stamps, kind, unknown)

    def image(self, path: Path) -> ImageLook:
        """What an image file holds; one that is missing or damaged has a problem."""
        try:
            found = json.loads(self.stamps.fact(path, IMAGE_LOOK, self._found(_look_at_image)))
        except DataNotFoundError as error:
            return ImageLook(problem=str(error))
        return ImageLook(**{**found, "stored": tuple(found["stored"]), "size": tuple(found["size"])})

    def header(self, path: Path) -> Header:
        """Size and orientation of an image. Raises DataError for a damaged one, DataNotFoundError for none."""
        height, width, orientation = json.loads(self.stamps.fact(path, HEADER, self._found(_header)))
        return Header((height, width), orientation)

    def mask(self, path: Path) -> MaskLook:
        """What a mask file holds; one that is missing or damaged has a problem."""
        try:
            found = json.loads(self.stamps.fact(path, MASK_LOOK, self._found(_look_at_mask)))
        except DataNotFoundError as error:
            return MaskLook(problem=str(error))
        return MaskLook(
            tuple(found["size"]),
            found["mode"],
            {int(value): count for value, count in found["values"].items()},
            {_colour(name): count for name, count in found["colours"].items()},
            {int(value): _colour(name) for value, name in found["palette"].items()},
            found["problem"],
        )

    def _found(self, look: Look) -> Callable[[Path], dict[str, str]]:
        """A look at a file where it lies."""
        return lambda path: look(path, self.stamps.place.held(path))


def in_threads(look: Callable[[K], T], things: Iterable[K]) -> list[T]:
    """What a look finds of each thing, in their order; a thread takes several at once, as handing one over costs."""
    listed, threads = list(things), min(8, os.cpu_count() or 1)
    size = max(1, min(MOST_AT_ONCE, len(listed) // (4 * threads)))
    parts = [listed[start : start + size] for start in range(0, len(listed), size)]
    with ThreadPoolExecutor(threads) as pool:
        return [found for part in pool.map(lambda part: [look(thing) for thing in part], parts) for found in part]


def facts_of(kind: str, path: Path, held: bytes | None = None) -> dict[str, str]:
    """Facts about a file by their kind, of which one is asked for: `IMAGE_LOOK` or `MASK_LOOK`.

    Args:
        held: its bytes, where they do not lie under its path.
    """
    return {IMAGE_LOOK: _look_at_image, MASK_LOOK: _look_at_mask}[kind](path, held)


def _look_at_image(path: Path, held: bytes | None) -> dict[str, str]:
    try:
        content = _content(path) if held is None else held
        with opened(path, content) as image, decoding(path):
            header, deep = header_of(image), _is_deep(image)
            image.draft(None, (1, 1))  # of a JPEG all is read, an eighth of its pixels is made: faults are the same
            image.load()
            brightest = _brightest(image) if deep else None
        look = ImageLook(header.stored, header.size, header.orientation, brightest)
    except DataError as error:
        return {IMAGE_LOOK: json.dumps(vars(ImageLook(problem=str(error))))}
    plain = json.dumps((*header.stored, header.orientation))
    return {IMAGE_LOOK: json.dumps(vars(look)), HEADER: plain, DIGEST: hashlib.sha256(content).hexdigest()}


def _header(path: Path, held: bytes | None) -> dict[str, str]:
    header = read_header(path, held)
    return {HEADER: json.dumps((*header.stored, header.orientation))}


def _look_at_mask(path: Path, held: bytes | None) -> dict[str, str]:
    try:
        content = _content(path) if held is None else held
        with opened(path, content) as image, decoding(path):
            look = _facts_of(decode_mask(image), path)
    except DataError as error:
        return {MASK_LOOK: json.dumps(_plain(MaskLook(problem=str(error))))}
    return {MASK_LOOK: json.dumps(_plain(look)), DIGEST: hashlib.sha256(content).hexdigest()}


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"'{path}' is larger than {MOST_BYTES >> 20} MiB; shrink it first")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror}); make it readable") from error


def _is_deep(image: Image.Image) -> bool:
    """Whether values of more than eight bits are scaled to eight."""
    return image.mode.startswith(("I", "F")) or "16" in raw_mode(image)


def _brightest(image: Image.Image) -> int:
    channels: Any = eight_bit(image).getextrema()
    return int(max(high for _, high in channels) if isinstance(channels[0], tuple) else channels[1])


def _facts_of(mask: MaskPixels, path: Path) -> MaskLook:
    if mask.problem:
        return MaskLook(mode=mask.mode, problem=f"mask '{path}' {mask.problem}")
    height, width = mask.values.shape[:2]
    if mask.is_colour:
        return MaskLook((height, width), mask.mode, colours=colours_of(mask.values))
    values = counts_of(mask.values)
    shown = {value: colour for value in values if (colour := mask.colour_of(value)) is not None}
    return MaskLook((height, width), mask.mode, values, palette=shown)


def counts_of(values: NDArray[np.uint8]) -> dict[int, int]:
    """Values of ``(H, W)`` and their pixels, ascending; by runs, of which masks have few."""
    flat = values.ravel()
    bounds = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]))
    counts = np.bincount(flat[bounds[:-1]], weights=bounds[1:] - bounds[:-1])
    found = counts.nonzero()[0]
    return dict(zip(found.tolist(), counts[found].astype(np.int64).tolist(), strict=True))


def colours_of(values: NDArray[np.uint8]) -> dict[Colour, int]:
    """Colours of ``(H, W, 3)`` and their pixels, the most frequent of many."""
    packed = packed_colours(values)
    found, counts = np.unique(packed, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_COLOURS]
    pairs = zip(found[order].tolist(), counts[order].tolist(), strict=True)
    return {(colour >> 16, colour >> 8 & 255, colour & 255): count for colour, count in pairs}


def packed_colours(values: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Colours ``(H, W, 3)`` as numbers ``(H, W)``: red is the highest byte of three."""
    packed: NDArray[np.uint32] = values.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    return packed


def _plain(look: MaskLook) -> dict[str, Any]:
    return {
        **vars(look),
        "colours": {_name(colour): count for colour, count in look.colours.items()},
        "palette": {value: _name(colour) for value, colour in look.palette.items()},
    }


def _name(colour: Colour) -> str:
    return "{:02x}{:02x}{:02x}".format(*colour)


def _colour(name: str) -> Colour:
    red, green, blue = bytes.fromhex(name)
    return red, green, blue
