"""Colours of class ids: VOC's in files of masks, and distinct ones for looking. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NamedTuple

from pydantic import Field

Byte = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Byte, Byte, Byte]
"""Red, green, blue."""

DISTINCT: tuple[Colour, ...] = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky
    (0, 158, 115),  # green
    (213, 94, 0),  # vermilion
    (0, 114, 178),  # blue
    (240, 228, 66),  # yellow
    (204, 121, 167),  # pink
    (120, 70, 20),  # brown
    (170, 240, 209),  # mint
    (51, 34, 136),  # indigo
)
"""Okabe and Ito's colours and three more, told apart with each of the three kinds of colour blindness."""
HATCHES = ("", "rising", "falling", "upright", "level", "crossed", "grid", "dotted")
"""What tells classes of one colour apart: the first ten are plain."""
DARK = 85
"""Brightness below which a colour is hatched in a lighter one."""


class ClassLook(NamedTuple):
    """How a class is shown where people look at it: a name for the legend, a colour, and the name of a hatching."""

    name: str
    colour: Colour
    hatch: str

    @property
    def ink(self) -> Colour:
        """The colour of its hatching: much darker, or over a dark colour much lighter."""
        red, green, blue = self.colour
        dark = 0.3 * red + 0.6 * green + 0.1 * blue < DARK
        red, green, blue = (round(0.45 * c + 140 if dark else 0.35 * c) for c in self.colour)
        return red, green, blue

    @property
    def ink_hex(self) -> str:
        """The colour of its hatching as in HTML."""
        return hex_of(self.ink)

    @property
    def hex(self) -> str:
        """The colour as in HTML."""
        return hex_of(self.colour)


def hex_of(colour: Colour) -> str:
    """A colour as in HTML."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def voc_colour(label: int) -> Colour:
    """Colour of a label 0 to 255 in the VOC colour map: its bits, dealt out to the channels from the highest on."""
    red, green, blue = (
        sum(((label >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(8)) for channel in range(3)
    )
    return red, green, blue


def palette(own: Mapping[int, Colour] | None = None) -> list[int]:
    """768 values for palette PNGs: the VOC colour map, but for labels with a colour of their own."""
    return [value for label in range(256) for value in (own or {}).get(label, voc_colour(label))]


def class_look(class_id: int, name: str = "", own: Mapping[int, Colour] | None = None) -> ClassLook:
    """How a class is shown in pictures, charts and legends; the same everywhere, as it hangs on the id alone.

    Files of masks, and what lies beside them, keep `palette`.

    Args:
        own: colours that the user gave, which win; one that is only VOC's is nobody's choice.
    """
    colour = (own or {}).get(class_id)
    if colour is not None and colour != voc_colour(class_id):
        return ClassLook(name, colour, "")
    turn, place = divmod(class_id - 1, len(DISTINCT))
    return ClassLook(name, DISTINCT[place], HATCHES[turn % len(HATCHES)])
