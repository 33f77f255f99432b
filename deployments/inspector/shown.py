"""Pictures of a static report, taken out of its HTML as data: nothing of its markup reaches a page of the inspector."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from html.parser import HTMLParser
from itertools import count
from pathlib import Path

from wilss.data.palette import ClassLook, Colour
from wilss.report.gallery import Gallery, Strip, Tile

PICTURE = re.compile(r"data:image/(?:png|jpeg);base64,([A-Za-z0-9+/]+=*)")
MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
COLOUR = re.compile("#[0-9a-f]{6}")
HATCHES = {"M-1 9L9 -1M-1 17L17 -1M7 17L17 7": "rising", "M7 -1L17 9M-1 -1L17 17M-1 7L9 17": "falling"} | {
    "M4 0V16M12 0V16": "upright",
    "M0 4H16M0 12H16": "level",
}
"""Drawings of swatches in reports -> names of hatchings."""
MOST_BYTES = 16 << 20
HEADINGS = ("h2", "h3")


def galleries_of(path: Path) -> list[Gallery]:
    """Galleries of a report's page; none where there is none, or it holds none."""
    try:
        facts = path.stat()
    except OSError:
        return []
    return _read(path, facts.st_mtime_ns, facts.st_ino) if facts.st_size <= MOST_BYTES else []


@lru_cache(maxsize=4)
def _read(path: Path, written: int, inode: int) -> list[Gallery]:
    """Args: written, inode: tell another page of the same name."""
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8", errors="replace"))
    reader.close()
    return [Gallery(title, tuple(strips), looks) for title, strips, looks in reader.found if strips]


@dataclass(frozen=True)
class Served(Tile):
    """A picture that has an address of its own."""

    where: str = ""

    @property
    def address(self) -> str:
        """See the class."""
        return self.where


def served(galleries: Sequence[Gallery], base: str) -> list[Gallery]:
    """The same with pictures at ``base``/0 and so on, in their order."""
    number, found = count(), []
    for gallery in galleries:
        strips = [
            replace(s, tiles=tuple(Served(t.caption, t.size, t.data, f"{base}/{next(number)}") for t in s.tiles))
            for s in gallery.strips
        ]
        found.append(replace(gallery, strips=tuple(strips)))
    return found


class _Reader(HTMLParser):
    """Follows the classes that ``parts.html.j2`` writes; what else there is, is passed over."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, list[Strip], tuple[ClassLook, ...]]] = []
        self._title, self._field, self._text = "", "", ""
        self._caption, self._tile = "", Tile("")
        self._tiles: list[Tile] = []
        self._is_tile = self._is_none = False
        self._legend: list[ClassLook] = []
        self._look: tuple[Colour, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See the class."""
        given = {name: value or "" for name, value in attrs}
        kind = given.get("class", "").split(" ")[0]
        if tag in HEADINGS or kind == "strip-caption" or tag == "figcaption":
            self._field, self._text = tag, ""
        elif kind == "legend":
            self._legend = []
        elif kind == "gallery":
            self.found.append((self._title, [], tuple(self._legend)))
            self._legend = []
        elif kind == "strip":
            self._tiles, self._caption = [], ""
        elif tag == "figure" and kind == "tile":
            self._tile, self._is_tile = Tile(""), True
        elif kind == "tile-none":
            self._is_none = True
        elif tag == "img":
            self._tile = _tile(given)
        elif tag == "svg" and kind == "swatch":
            self._look, self._field, self._text = ((0, 0, 0), []), "li", ""
        elif self._look is not None:
            self._follow_swatch(tag, kind, given)

    def _follow_swatch(self, tag: str, kind: str, given: dict[str, str]) -> None:
        assert self._look is not None
        if tag == "rect" and COLOUR.fullmatch(given.get("fill", "")):
            red, green, blue = (int(given["fill"][at : at + 2], 16) for at in (1, 3, 5))
            self._look = (red, green, blue), self._look[1]
        elif tag == "path" and kind == "swatch-stroke":
            self._look[1].append(HATCHES.get(given.get("d", ""), ""))

    def handle_data(self, data: str) -> None:
        """See the class."""
        if self._field:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        """See the class."""
        text = " ".join(self._text.split())
        if tag in HEADINGS and self._field == tag:
            self._title = text
        elif tag == "p" and self._field == "p":
            self._caption = text
        elif tag == "figcaption" and self._field == tag:
            self._tile = Tile(text, self._tile.size, self._tile.data)
        elif tag == "figure" and self._is_tile:  # charts are figures too
            self._tiles.append(self._tile)
            self._is_tile = False
        elif tag == "li" and self._look is not None:
            colour, strokes = self._look
            hatch = "crossed" if len(strokes) > 1 else next(iter(strokes), "")
            self._legend.append(ClassLook(text, colour, hatch))
            self._look = None
        elif tag == "div" and self._is_none:
            self._is_none = False
        elif tag == "div" and self._tiles and self.found:
            self.found[-1][1].append(Strip(self._caption, tuple(self._tiles)))
            self._tiles = []
        if tag == self._field:
            self._field = ""


def _tile(given: dict[str, str]) -> Tile:
    """A picture of an ``img``; none for what is no picture of a report."""
    match = PICTURE.fullmatch(given.get("src", ""))
    width, height = (given.get(name, "") for name in ("width", "height"))
    if not match or not (width.isdecimal() and height.isdecimal() and len(width + height) < 12):
        return Tile("")
    try:
        data = base64.b64decode(match[1], validate=True)
    except binascii.Error:
        return Tile("")
    return Tile("", (int(width), int(height)), data) if data.startswith(MAGIC) else Tile("")
