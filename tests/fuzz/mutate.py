"""Ways to spoil a file: bytes, lines, values of JSON, pixels. All of them take their choices from one generator."""

from __future__ import annotations

import copy
import io
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

ODD_TEXT = (
    "\ufeff", "\0", "\r", "\u2028", "\x1b[31m", "=1+1", "'", '"', ",", ";", "|", "\t", "../", "/etc/passwd", "%s", "{}",
    "[", "&a", "*a", "!!int x", "!!python/object:os.system", "2001-99-99", "<<", "NaN", "é", "e\u0301", "x" * 5000, "-",
    "~", "null", "1e999", "9" * 400, "0x", "CON", " ", "background", "\ud800",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 10**9, 10**30, 1e308, float("nan"), float("inf"), "", "x", "\0", "../../x", "/", "é" * 300,
    [], {}, [[]], [None], {"a": 1}, [1e9, -1e9], "1", [float("nan")] * 8,
)  # fmt: skip
ENCODINGS = ("utf-16", "utf-16-be", "cp1252", "utf-32", "utf-8-sig", "latin-1")
MODES = ("1", "L", "P", "RGB", "RGBA", "LA", "I;16", "I", "F", "CMYK")


def spoil_bytes(content: bytes, rng: random.Random) -> bytes:
    """Flip, cut, double, drop or insert some bytes."""
    at = rng.randrange(len(content) + 1)
    length = rng.choice((1, 2, 4, 16, 200))
    odd = bytes(rng.randrange(256) for _ in range(length))
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: b"",
        lambda: content[:at],
        lambda: content[:at] + odd + content[at:],
        lambda: content[:at] + odd + content[at + length :],
        lambda: content[:at] + content[at + length :],
        lambda: content[:at] + content[at : at + length] * rng.choice((2, 50)) + content[at + length :],
        lambda: content[:at] + bytes(length) + content[at + length :],
        lambda: content + odd,
        lambda: bytes(len(content)),
        lambda: b"<html><body>404</body></html>",
    )
    return rng.choice(ways)()


def spoil_text(text: str, rng: random.Random) -> bytes:
    """Put odd words into lines, move, double or drop lines, or write it in another encoding."""
    lines = text.splitlines(keepends=True)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, odd = rng.randrange(len(lines)) if lines else 0, rng.choice(ODD_TEXT)
        line = lines[at] if lines else ""
        cut = rng.randrange(len(line) + 1)
        new = rng.choice(
            (
                [line[:cut] + odd + line[cut:]],
                [line, line],
                [],
                [odd + "\n"],
                [line.replace(",", odd)],
                [line.upper()],
                [line.rstrip("\n")],
                [line.replace(":", odd)],
                [line[:cut] + "\n" + line[cut:]],
            )
        )
        lines[at : at + 1] = new
    spoilt = "".join(lines)
    if rng.random() < 0.2:
        return spoilt.encode(rng.choice(ENCODINGS), "replace")
    content = spoilt.encode("utf-8", "replace")
    return spoil_bytes(content, rng) if rng.random() < 0.15 else content


def spoil_json(text: str, rng: random.Random) -> bytes:
    """Change a few values or keys of a JSON text, somewhere; seldom its bytes."""
    if rng.random() < 0.15:
        return spoil_bytes(text.encode(), rng)
    content = json.loads(text)
    for _ in range(rng.choice((1, 1, 2, 3))):
        content = _spoilt_value(content, rng)
    if rng.random() < 0.03:
        content = json.loads("[" * 500 + "]" * 500)
    return json.dumps(content).encode()


def _spoilt_value(value: Any, rng: random.Random) -> Any:
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.1:
        return copy.deepcopy(rng.choice(ODD_VALUES))  # a second change must not reach the list itself
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = rng.choice(keys)
    way = rng.random()
    if way < 0.15:
        del value[key]
    elif way < 0.22 and isinstance(value, list):
        value.append(value[key])
    elif way < 0.3 and isinstance(value, dict):
        value[str(rng.choice(ODD_VALUES))] = value.pop(key)
    else:
        value[key] = _spoilt_value(value[key], rng)
    return value


def spoil_image(content: bytes, rng: random.Random) -> bytes:
    """Other modes, sizes, formats and orientations of an image; or its bytes."""
    if rng.random() < 0.5:
        return spoil_bytes(content, rng)
    with Image.open(io.BytesIO(content)) as image:
        pixels = np.array(image.convert("L"))
    height, width = rng.choice((pixels.shape, (1, 1), (1, 3000), (pixels.shape[0] - 1, pixels.shape[1])))
    pixels = np.resize(pixels, (height, width))
    if rng.random() < 0.3:
        pixels = pixels * np.uint8(rng.choice((0, 3, 255)))
    mode = rng.choice(MODES)
    changed = Image.fromarray(pixels.astype(np.uint16)) if mode == "I;16" else Image.fromarray(pixels).convert(mode)
    if mode == "P":
        changed.putpalette([rng.randrange(256) for _ in range(768)])
    exif = Image.Exif()
    if rng.random() < 0.4:
        exif[274] = rng.choice((0, 2, 3, 6, 8, 9, 99))
    for kind in rng.sample(("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"), 6):
        written = io.BytesIO()
        try:
            changed.save(written, kind, exif=exif)
        except (OSError, ValueError, KeyError):  # a mode that this kind does not have
            continue
        return written.getvalue()
    return b""
