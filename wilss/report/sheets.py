"""Contact sheets: rows of pictures as one PNG, each row under a line that says what it is."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from PIL import Image, ImageDraw, ImageFont

from wilss.data.palette import ClassLook, Colour
from wilss.report.pictures import View, hatching, legend_of, to_pil

INK, SOFT, LINE, PAPER, GROUND = (27, 32, 38), (85, 96, 108), (217, 222, 228), (255, 255, 255), (245, 246, 248)
MARGIN, GAP, TEXT, SMALL_TEXT, SWATCH = 16, 8, 15, 13, 14
LEAST = 160
"""Longest side of the tiles of small pictures, and where there are many rows."""
SIDES = ((1, 640), (10, 320), (30, 224))
"""Rows of a sheet -> longest side of its tiles where the images have it."""


@dataclass(frozen=True)
class _Pen:
    """Where a sheet is drawn, and how wide it is."""

    sheet: Image.Image
    draw: ImageDraw.ImageDraw

    def text(self, place: tuple[float, float], text: str, size: int, ink: Colour, width: float) -> None:
        """One line, cut off with an ellipsis where it is too wide."""
        self.draw.text(place, fitted(text, size, width), fill=ink, font=_font(size))


def contact_sheet(
    rows: Sequence[Sequence[View]],
    titles: Sequence[str],
    notes: Sequence[str],
    names: Mapping[int, str] | None = None,
    own: Mapping[int, Colour] | None = None,
) -> Image.Image:
    """A table of pictures, as large as the images allow, with the legend of their classes.

    Args:
        rows: for each row the views of its columns; shorter rows are allowed.
        titles: of the columns, told under every picture. notes: one line above each row.
        names: of class ids, for the legend. own: colours that the user gave.
    """
    side = _side(rows)
    pictures = [[_picture(view, side, own) for view in row] for row in rows]
    legend = legend_of((view for row in rows for view in row), names or {}, own)
    width = 2 * MARGIN + len(titles) * (side + GAP) - GAP
    heights = [
        30 + max(p.height if p else side // 2 for p in row) + (24 if any(titles) else 8) + GAP for row in pictures
    ]
    places = _legend_places(legend, width)
    foot = 28 + places[-1][1] if places else 0
    sheet = Image.new("RGB", (width, sum(heights) + MARGIN + foot), PAPER)
    pen, top = _Pen(sheet, ImageDraw.Draw(sheet)), MARGIN
    for row, note, height in zip(pictures, notes, heights, strict=True):
        _row(pen, row, titles, note, top, side)
        top += height
    for look, (x, y) in zip(legend, places, strict=True):
        _swatch(pen, look, x, top + y)
    return sheet


def _side(rows: Sequence[Sequence[View]]) -> int:
    """Longest side of a tile: what the images have, within limits."""
    images = [view.image for row in rows for view in row if view.image is not None]
    longest = max((max(image.shape[-2:]) for image in images), default=LEAST)
    return min(max(longest, LEAST), next((side for most, side in SIDES if len(rows) <= most), LEAST))


def _picture(view: View, side: int, own: Mapping[int, Colour] | None) -> Image.Image | None:
    drawn = view.drawn(side, own)
    if drawn is None:
        return None
    image, factor = to_pil(drawn), side / max(drawn.shape[-2:])
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image if image.size == size else image.resize(size, Image.Resampling.NEAREST)


def _row(pen: _Pen, row: Sequence[Image.Image | None], titles: Sequence[str], note: str, top: int, side: int) -> None:
    if top > MARGIN:
        pen.draw.line([(MARGIN, top - GAP // 2), (pen.sheet.width - MARGIN, top - GAP // 2)], LINE)
    pen.text((MARGIN, top + 4), note, TEXT, INK, pen.sheet.width - 2 * MARGIN)
    bottom = top + 30 + max(picture.height if picture else side // 2 for picture in row)
    for column, (picture, title) in enumerate(zip(row, titles, strict=False)):
        left = MARGIN + column * (side + GAP)
        if picture is None:
            pen.draw.rectangle([(left, top + 30), (left + side - 1, bottom - 1)], GROUND, LINE)
            pen.text((left + GAP, top + 30 + GAP), "not known", SMALL_TEXT, SOFT, side - 2 * GAP)
        else:
            pen.sheet.paste(picture, (left, top + 30))
        pen.text((left, bottom + 3), title, SMALL_TEXT, SOFT, side)


def _legend_places(legend: Sequence[ClassLook], width: int) -> list[tuple[int, int]]:
    """Left and top of every entry, in lines."""
    places, x, y = [], MARGIN, 0
    for look in legend:
        needed = SWATCH + 3 * GAP + round(_font(SMALL_TEXT).getlength(look.name))
        if x > MARGIN and x + needed > width - MARGIN:
            x, y = MARGIN, y + 22
        places.append((x, y))
        x += needed
    return places


def _swatch(pen: _Pen, look: ClassLook, x: int, y: int) -> None:
    paint, ink = (torch.tensor(colour, dtype=torch.uint8).view(3, 1, 1) for colour in (look.colour, look.ink))
    square = torch.where(hatching(look.hatch, (SWATCH, SWATCH)), ink, paint)
    pen.sheet.paste(to_pil(square), (x, y + 2))
    pen.draw.rectangle([(x, y + 2), (x + SWATCH, y + 2 + SWATCH)], outline=SOFT)
    pen.text((x + SWATCH + GAP, y), look.name, SMALL_TEXT, INK, pen.sheet.width - x - SWATCH - 2 * GAP)


def fitted(text: str, size: int, width: float) -> str:
    """A text that is at most so many pixels wide, cut off with an ellipsis."""
    font = _font(size)
    if font.getlength(text) <= width:
        return text
    over = bisect_left(range(len(text)), True, key=lambda kept: font.getlength(f"{text[: kept + 1]}…") > width)
    return f"{text[:over]}…"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
