"""Masks and shares as pictures that lie over an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wilss.data.palette import Colour

HEAT: tuple[Colour, Colour] = ((35, 12, 80), (255, 214, 64))


def two_colours(mask_HW: NDArray[np.bool_], colour: Colour) -> Image.Image:
    """A mask as a palette image whose background is transparent."""
    shown = Image.fromarray(mask_HW.astype(np.uint8), "P")
    shown.putpalette([0, 0, 0, *colour])
    shown.info["transparency"] = 0
    return shown


def heat(share_HW: NDArray[np.float32]) -> Image.Image:
    """Shares in [0, 1] as a palette image, the more transparent the lower."""
    ramp = np.linspace(HEAT[0], HEAT[1], 256).round().astype(np.uint8)
    shown = Image.fromarray((share_HW * 255).round().astype(np.uint8), "P")
    shown.putpalette(ramp.tobytes())
    shown.info["transparency"] = bytes(min(235, round(1.3 * value)) for value in range(256))
    return shown
