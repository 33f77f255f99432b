"""Colours of class ids. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

Byte = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Byte, Byte, Byte]
"""Red, green, blue."""


def voc_colour(label: int) -> Colour:
    """Colour of a label 0 to 255 in the VOC colour map: its bits, dealt out to the channels from the highest on."""
    red, green, blue = (
        sum(((label >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(8)) for channel in range(3)
    )
    return red, green, blue


def palette(own: Mapping[int, Colour] | None = None) -> list[int]:
    """768 values for palette PNGs: the VOC colour map, but for labels with a colour of their own."""
    return [value for label in range(256) for value in (own or {}).get(label, voc_colour(label))]
