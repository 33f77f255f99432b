"""How a mask is read: its values as they are, or by a table of colours; and turned as its image is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wilss.data.colours import BLACK, ColourTable, own_colours
from wilss.data.looks import MaskLook, packed_colours
from wilss.data.mask_pixels import MaskPixels
from wilss.data.palette import Colour
from wilss.data.source import VOID

Drawn = Literal["raw", "upright"]
"""Whether masks lie on the pixels as they are stored, or as they are shown."""
TURN = (
    "say with --set data.masks=raw (drawn on the pixels as stored) or data.masks=upright (as shown), or save the image "
    "upright"
)


@dataclass(frozen=True)
class Reading:
    """How the pixels of a mask become class ids.

    indices: index -> id, None where they are ids. colours: colour -> id of a colour mask. problem: why it cannot be
    read, as the end of a sentence about it. note: what was done about it.
    """

    indices: Mapping[int, int] | None = None
    colours: Mapping[Colour, int] | None = None
    problem: str = ""
    note: str = ""

    @property
    def facts(self) -> list[Any]:
        """What determines the result beside the file, for a digest; nothing for one that is read as it is."""
        tables = (self.indices, self.colours)
        return [sorted(table.items()) for table in tables if table is not None]

    def values(self, look: MaskLook) -> dict[int, int]:
        """Class id -> pixels."""
        found: dict[int, int] = {}
        table: Mapping[Any, int] | None = self.colours if look.colours else self.indices
        counts: Mapping[Any, int] = look.colours or look.values
        for value, count in counts.items():
            class_id = table[value] if table is not None else value
            found[class_id] = found.get(class_id, 0) + count
        return found

    def apply(self, mask: MaskPixels) -> NDArray[np.uint8]:
        """Class ids ``(H, W)`` of decoded pixels."""
        if mask.is_colour and self.colours is not None:
            packed = packed_colours(mask.values)
            found = np.zeros(packed.shape, np.uint8)
            for (red, green, blue), class_id in self.colours.items():
                found[packed == (red << 16 | green << 8 | blue)] = class_id
            return found
        if self.indices is None:
            return mask.values.astype(np.uint8)
        table = np.zeros(256, np.uint8)
        for index, class_id in self.indices.items():
            table[index] = class_id
        return table[mask.values]


PLAIN = Reading()


def reading_of(look: MaskLook, table: ColourTable, strict: bool) -> Reading:
    """How a mask is read, from what is known of its file.

    Args:
        table: colours of this folder. strict: whether a palette must have the table's colours; otherwise it may have
            others where no index contradicts the table.
    """
    if look.colours:
        return _of_colours(look, table)
    own = own_colours(look)
    wrong = [value for value, colour in own.items() if _contradicts(value, colour, table, strict)]
    if not wrong:
        return PLAIN
    unknown = [colour for colour in own.values() if colour not in table.ids]
    if unknown or len(set(own.values())) < len(own):
        return _refused(wrong[0], own[wrong[0]], table)
    return _by_colours(look, own, table)


def _by_colours(look: MaskLook, own: Mapping[int, Colour], table: ColourTable) -> Reading:
    """How a palette in another order is read; refused where it shows an index that its colours do not tell."""
    indices = {value: table.ids[colour] for value, colour in own.items()}
    for value in look.values.keys() - own.keys():
        colour = look.palette.get(value)
        if value != VOID or table.ids.get(colour or BLACK, VOID) not in (0, VOID):
            return _refused(value, colour, table)
        indices[VOID] = VOID
    return Reading(indices, note=f"has other indices than class ids; it is read by its colours, by {table.origin}")


def _refused(value: int, colour: Colour | None, table: ColourTable) -> Reading:
    """Of a mask whose palette and the table do not agree about an index."""
    meant = table.ids.get(colour) if colour is not None else None
    other = "no class" if meant is None else "background" if meant == 0 else f"{meant}"
    seen = f"no colour at index {value}" if colour is None else f"the colour {colour} at index {value}"
    return Reading(
        problem=f"has {seen}, which is {other} by {table.origin}; save it with the palette of the others, or as grey "
        "PNG of class ids"
    )


def _contradicts(value: int, colour: Colour, table: ColourTable, strict: bool) -> bool:
    if table.ids.get(colour) == value:
        return False
    known = table.colour_of(value)
    return (
        strict or known is not None or value in table.disputed or colour in table.ids or (colour == BLACK and value > 0)
    )


def _of_colours(look: MaskLook, table: ColourTable) -> Reading:
    unknown = [colour for colour in look.colours if colour not in table.ids]
    if not unknown:
        known = {colour: table.ids[colour] for colour in look.colours}
        return Reading(colours=known, note=f"holds colours; they are read by {table.origin}")
    if all(red == green == blue for red, green, blue in look.colours) and max(look.colours)[0] <= VOID:
        ids = {colour: colour[0] for colour in look.colours}
        return Reading(colours=ids, note="holds grey in three channels; the grey is read as class ids")
    return Reading(
        problem=f"has mode {look.mode} and {len(look.colours)} colours, of which {unknown[0]} is none of "
        f"{table.origin}; name colours in labelmap.txt beside the folder of masks (cat:255,0,0::), or make PNG of "
        "class ids of them with wilss data import"
    )


def turned(values: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """A mask that was drawn on stored pixels, as the image is shown by its EXIF orientation."""
    turns = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.T,
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].T,
        8: lambda a: np.rot90(a, 1),
    }
    return np.ascontiguousarray(turns[orientation](values)) if orientation in turns else values


def lies_on(
    stored: tuple[int, int], size: tuple[int, int], orientation: int, mask: tuple[int, int], drawn: Drawn | None
) -> tuple[bool, str]:
    """Whether a mask has to be turned as its image is, and why it does not fit it ("" where it does).

    Args:
        stored, size: height and width of the image as stored and upright. mask: of the mask.
        drawn: what is said where both fit.
    """
    fits_stored, fits_upright = mask == stored, mask == size
    if not (fits_stored or fits_upright):
        return False, f"is {size} but its mask is {mask} (height, width); they must have the same size"
    if orientation == 1 or not fits_stored:
        return False, ""
    if not fits_upright:
        return True, ""
    if drawn is None:
        return False, f"is turned by its EXIF orientation {orientation}, and its mask fits it both ways; {TURN}"
    return drawn == "raw", ""


def assumed(stored: tuple[int, int], size: tuple[int, int], orientation: int, drawn: Drawn | None) -> str:
    """What is taken for granted of annotations that tell no size of a turned image; "" where nothing is.

    Where both sizes are equal, `lies_on` asks. Arguments as there.
    """
    if drawn is not None or stored == size:
        return ""
    return (
        f"is turned by its EXIF orientation {orientation}, and its annotations tell no size: they are taken as made "
        "for the image as shown"
    )
