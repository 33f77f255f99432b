"""Grey images of other depths than eight bits, scaled to what they show."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BITS_PER_SAMPLE = 258
"""Tag of TIFF."""
FULL = 65535
FEW_BITS = {"L;2": 85, "L;4": 17}
"""Grey of two and four bits -> the factor by which Pillow spreads it to 255."""


def eight_bit(image: Image.Image) -> Image.Image:
    """An image whose channels have eight bits; 16-bit colour has lost its lower eight when it is opened.

    16-bit grey is scaled from its full range, or that which the file tells; 32-bit grey and floats are taken as 0 to
    255, 0 to 65535 (integers) or 0 to 1 (floats), by their greatest value.

    Raises ValueError for values that no image has, OSError for a damaged file.
    """
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all() or (low := values.min()) < 0:
        raise ValueError("it holds values that are no brightness (below zero, or not finite)")
    scale = _scale(image, float(values.max()))
    if scale is None:
        raise ValueError(f"it holds values from {low:g} to {values.max():g}; save it with 8 or 16 bits")
    return Image.fromarray((values * scale).round().clip(0, 255).astype(np.uint8))


def _scale(image: Image.Image, high: float) -> float | None:
    if image.mode.startswith("I;"):
        return 255 / ((1 << _told_bits(image)) - 1)
    if image.mode == "F" and high <= 1:
        return 255.0
    if high <= 255:
        return 1.0
    return 255 / FULL if image.mode == "I" and high <= FULL else None


def _told_bits(image: Image.Image) -> int:
    """Bits of a value as the file tells them: some TIFFs pack twelve."""
    tags: Any = getattr(image, "tag_v2", {})
    told = tags.get(BITS_PER_SAMPLE, (16,))
    bits = told[0] if isinstance(told, tuple) else told
    return bits if isinstance(bits, int) and 8 <= bits <= 16 else 16


def raw_mode(image: Image.Image) -> str:
    """How the file stores values, such as "L;4"; "" once an image is loaded, or where its format does not tell."""
    tile = getattr(image, "tile", None) or [("", (), 0, "")]
    stored = tile[0][3]
    return str(stored[0] if isinstance(stored, tuple) and stored else stored)


def as_stored(values: NDArray[np.uint8], stored: str) -> NDArray[np.uint8]:
    """Grey values of two or four bits as the file holds them, which for class ids is what they mean."""
    factor = next((factor for name, factor in FEW_BITS.items() if stored.startswith(name)), 1)
    return values // np.uint8(factor) if factor > 1 else values
