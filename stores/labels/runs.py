"""Run lengths of COCO's form, read here: native code believes what they say of themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def mask_of_runs(
    counts: str | Sequence[int], size: Sequence[int], expected: tuple[int, int]
) -> NDArray[np.uint8] | None:
    """The mask of run lengths, uint8 ``(H, W)``; None for some that are not of that size or do not fill it exactly."""
    lengths = _inflated(counts) if isinstance(counts, str) else _whole(counts)
    area = expected[0] * expected[1]
    if tuple(size) != expected or lengths is None or lengths.min(initial=0) < 0 or lengths.max(initial=0) > area:
        return None
    if lengths.sum() != area:
        return None
    values = (np.arange(len(lengths)) % 2).astype(np.uint8)
    return np.repeat(values, lengths).reshape(expected[::-1]).T


def _whole(counts: Sequence[int]) -> NDArray[np.int64] | None:
    return np.array(counts, np.int64) if all(0 <= count < 2**40 for count in counts) else None


def _inflated(text: str) -> NDArray[np.int64] | None:
    """Five bits a character; from the fourth number on as a difference to the last but one."""
    code = np.frombuffer(text.encode("latin-1", "replace"), np.uint8).astype(np.int64) - 48
    if not len(code) or code.min() < 0 or code.max() > 63 or code[-1] & 32:
        return None
    last = np.flatnonzero(code & 32 == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    place = np.arange(len(code)) - np.repeat(first, last - first + 1)
    if place.max() > 6:
        return None
    value = np.add.reduceat((code & 31) << 5 * place, first)
    value -= np.where(code[last] & 16, 1 << 5 * (place[last] + 1), 0)
    value[1::2] = np.cumsum(value[1::2])
    value[2::2] = np.cumsum(value[2::2])
    return value
