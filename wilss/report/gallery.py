"""Pictures of a page: rows of tiles, each with its own caption. Imports no torch."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from wilss.data.palette import ClassLook

SMALL = 200
"""Pixels of the longer side below which a picture is enlarged without smoothing."""
QUALITY = 85
"""Of JPEG."""
MOST_COLUMNS = 6


@dataclass(frozen=True)
class Tile:
    """One picture of a page; without data it says that there is nothing to show.

    size: width and height in pixels. data: PNG or JPEG bytes.
    """

    caption: str
    size: tuple[int, int] = (4, 3)
    data: bytes = b""

    @property
    def address(self) -> str:
        """The picture as an address that holds it whole."""
        kind = "png" if self.data.startswith(b"\x89PNG") else "jpeg"
        return f"data:image/{kind};base64,{base64.b64encode(self.data).decode()}"

    @property
    def small(self) -> bool:
        """Whether its pixels are to be seen as squares."""
        return max(self.size) < SMALL


@dataclass(frozen=True)
class Strip:
    """One thing in several views, side by side, under a line that says what it is."""

    caption: str
    tiles: tuple[Tile, ...]

    @property
    def columns(self) -> int:
        """Tiles of a line where there is room: at most six, and lines of equal length."""
        lines = -(-len(self.tiles) // MOST_COLUMNS) or 1
        return -(-len(self.tiles) // lines)


@dataclass(frozen=True)
class Gallery:
    """Strips under one title, with the legend of the classes that they show."""

    title: str
    strips: tuple[Strip, ...]
    classes: tuple[ClassLook, ...] = ()
    note: str = ""


def tile_side(strips: int, tiles: int) -> int:
    """Longest side of the tiles of a gallery in pixels, so that a page stays below about 3 MB."""
    if strips == 1:
        return 640
    return next((side for most, side in ((56, 320), (110, 240)) if tiles <= most), 176)


def tile(caption: str, image: Image.Image) -> Tile:
    """A tile of a picture: PNG, or JPEG where that takes less than half of it."""
    lossless, lossy = encoded(image, "PNG"), encoded(image, "JPEG")
    return Tile(caption, image.size, lossy if 2 * len(lossy) < len(lossless) else lossless)


def encoded(image: Image.Image, form: str) -> bytes:
    """A picture as the bytes of a file, the same ones every time.

    Args:
        form: "PNG" or "JPEG".
    """
    buffer = io.BytesIO()
    if form == "JPEG":  # not optimised: that fails for pictures that compress badly
        image.save(buffer, form, quality=QUALITY, subsampling=0)
    else:
        image.save(buffer, form, optimize=True)
    return buffer.getvalue()
