"""What a mask file holds: class ids, or colours that stand for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wilss.data.depth import as_stored, raw_mode
from wilss.data.palette import Colour

GREYS = ("L", "1", "I", "F", "LA")
CONVERT = "save masks as PNG of class ids"


@dataclass(frozen=True)
class MaskPixels:
    """A decoded mask.

    values: integers ``(H, W)``, class ids or indices of a palette; or uint8 ``(H, W, 3)``, colours.
    palette: red, green and blue of each index that it has. problem: why it cannot be a mask, "" where it can.
    """

    mode: str
    values: NDArray[Any]
    palette: Sequence[int] = ()
    problem: str = ""

    @property
    def is_colour(self) -> bool:
        """Whether pixels are colours."""
        return self.values.ndim == 3

    def colour_of(self, index: int) -> Colour | None:
        """Colour of an index, None for one that the palette lacks."""
        found = tuple(self.palette[3 * index : 3 * index + 3])
        return (found[0], found[1], found[2]) if len(found) == 3 else None


def decode_mask(image: Image.Image) -> MaskPixels:
    """Read the pixels of an opened mask as the file stores them. Raises what Pillow does for a damaged file."""
    stored, mode = raw_mode(image), image.mode
    if image.format in ("JPEG", "MPO"):
        return _unusable(mode, f"is a JPEG, which does not keep class ids; {CONVERT}")
    if mode in ("P", "PA"):
        return _of_palette(image)
    if mode in GREYS or mode.startswith("I;"):
        return _of_grey(image, stored)
    if mode in ("RGB", "RGBA", "RGBX"):
        return _of_colours(image)
    return _unusable(mode, f"has mode {mode}; {CONVERT}")


def _of_palette(image: Image.Image) -> MaskPixels:
    values = np.array(image)
    return MaskPixels(image.mode, values[..., 0] if values.ndim == 3 else values, image.getpalette("RGB") or ())


def _of_grey(image: Image.Image, stored: str) -> MaskPixels:
    values = np.array(image)
    if image.mode == "LA":
        if not (values[..., 1] == 255).all():
            return _unusable("LA", f"is partly transparent, which no class is; {CONVERT}")
        values = values[..., 0]
    if image.mode == "1":
        return MaskPixels("1", values.astype(np.uint8))
    if image.mode == "L":
        return MaskPixels("L", as_stored(values, stored))
    if not np.isfinite(values).all() or (values != np.trunc(values)).any():
        return _unusable(image.mode, f"holds values that are no whole numbers; {CONVERT}")
    if values.min() < 0 or values.max() > 255:
        wrong = int(values.max() if values.max() > 255 else values.min())
        return _unusable(image.mode, f"holds the value {wrong}; class ids go from 0 to 254, and 255 is void")
    return MaskPixels(image.mode, values.astype(np.uint8))


def _of_colours(image: Image.Image) -> MaskPixels:
    values = np.array(image)
    if image.mode == "RGBA" and not (values[..., 3] == 255).all():
        return _unusable("RGBA", f"is partly transparent, which no class is; {CONVERT}")
    return MaskPixels(image.mode, values[..., :3])


def _unusable(mode: str, problem: str) -> MaskPixels:
    return MaskPixels(mode, np.zeros((0, 0), np.uint8), problem=problem)
