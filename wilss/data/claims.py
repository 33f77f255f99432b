"""Whether the bytes of an image file can hold the pixels that its header claims; asked before they are decoded."""

from __future__ import annotations

import math
from typing import IO

from PIL import Image

DEFLATE = 1032
"""Bytes that one byte of a PNG can become."""
JPEG_PIXELS = 1 << 13
"""Of a byte of a JPEG: sixteen times what Huffman's codes can do, as those of other kinds do better on plain images."""
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of a PNG's colour types."""
HARMLESS = 1 << 20
"""Pixels that no file is asked about."""


def most_pixels(image: Image.Image, file: IO[bytes]) -> float:
    """How many pixels an opened image can have at most, by the size of its file; the place in the file is kept."""
    place = file.tell()
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(26)
    file.seek(place)
    if image.format == "PNG" and len(head) == 26 and head[12:16] == b"IHDR":
        return max(HARMLESS, DEFLATE * size * 8 / (head[24] * CHANNELS.get(head[25], 1)))
    return max(HARMLESS, JPEG_PIXELS * size) if image.format in ("JPEG", "MPO") else math.inf
