"""Label Studio's run lengths of a brush, as its own converter writes and its page reads them: bits of RGBA bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stores.labels.exchange import Masks

HEAD = f"{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
"""Eight bits a value; the four widths that the length of a run may have."""


def brush_runs(mask: Masks) -> list[int]:
    """Bytes of a mask ``(H, W)`` of 0 and 1; painted pixels are 255 in all four channels."""
    flat = mask.ravel()
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], ends])
    lengths = 4 * np.diff(starts, append=flat.size)
    bits = [f"{4 * flat.size:032b}", HEAD]
    for length, value in zip(lengths.tolist(), flat[starts].tolist(), strict=True):
        whole, rest = divmod(length, 1 << 16)
        bits += [_run(1 << 16, value)] * whole
        if rest:
            bits.append(_run(rest, value))
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def _run(length: int, value: int) -> str:
    which, width = next((k, width) for k, width in enumerate((3, 4, 8, 16)) if length <= 1 << width)
    return f"1{which:02b}{length - 1:0{width}b}" + ("1" if value else "0") * 8


def painted(content: Sequence[int], size: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Pixels ``(H, W)`` that are more than half opaque; None for bytes that do not fill the size.

    Args:
        content: numbers of 0 to 255.
    """
    bits, area = _Bits(content), 4 * size[0] * size[1]
    try:
        return _values(bits, area).reshape(*size, 4)[:, :, 3] > 127 if bits.number(32) == area else None
    except EOFError:
        return None


class _Bits:
    """Bits one after the other. Raises EOFError behind the last."""

    def __init__(self, content: Sequence[int]) -> None:
        self._bits = np.unpackbits(np.array(content, np.uint8))
        self._text = (self._bits + ord("0")).tobytes().decode("ascii")
        self._at = 0

    def number(self, width: int) -> int:
        part = self._text[self._take(width) : self._at]
        return int(part, 2)

    def numbers(self, width: int, count: int) -> NDArray[np.int64]:
        start = self._take(width * count)
        words = self._bits[start : self._at].reshape(count, width).astype(np.int64)
        return words @ (1 << np.arange(width - 1, -1, -1, dtype=np.int64))

    def _take(self, width: int) -> int:
        start = self._at
        self._at += width
        if self._at > len(self._text):
            raise EOFError
        return start


def _values(bits: _Bits, area: int) -> NDArray[np.int64]:
    word = bits.number(5) + 1
    widths = [bits.number(4) + 1 for _ in range(4)]
    values, at = np.zeros(area, np.int64), 0
    while at < area:
        alike = bits.number(1)
        end = min(at + 1 + bits.number(widths[bits.number(2)]), area)
        values[at:end] = bits.number(word) if alike else bits.numbers(word, end - at)
        at = end
    return values
