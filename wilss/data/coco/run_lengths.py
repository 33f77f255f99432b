"""Run lengths of COCO's form, read here: native code believes what they say of themselves. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MOST = 2**28
"""Runs of one mask."""


def lengths_of(counts: str | Sequence[object], size: Sequence[int]) -> NDArray[np.int64] | None:
    """Run lengths as numbers that fill ``(H, W)`` exactly; None for anything else.

    Args:
        counts: numbers, or COCO's compressed text.
    """
    lengths = _inflated(counts) if isinstance(counts, str) else _whole(counts)
    area = size[0] * size[1]
    if lengths is None or lengths.min(initial=0) < 0 or lengths.max(initial=0) > area or lengths.sum() != area:
        return None
    return lengths


def filled(lengths: NDArray[np.int64], size: Sequence[int]) -> NDArray[np.bool_]:
    """Pixels ``(H, W)`` of run lengths, column by column, background first."""
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(size[1], size[0]).T


def _whole(counts: Sequence[object]) -> NDArray[np.int64] | None:
    sound = len(counts) < MOST and all(type(n) is int and -1 < n < 2**40 for n in counts)
    return np.array(counts, np.int64) if sound else None


def _inflated(text: str) -> NDArray[np.int64] | None:
    """Five bits a character; from the fourth number on as a difference to the last but one."""
    code = np.frombuffer(text.encode("latin-1", "replace"), np.uint8).astype(np.int64) - 48
    if not len(code) or code.min() < 0 or code.max() > 63 or code[-1] & 32:
        return None
    last = np.flatnonzero(code & 32 == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    place = np.arange(len(code)) - np.repeat(first, last - first + 1)
    if place.max() > 6:  # 35 bits
        return None
    value = np.add.reduceat((code & 31) << 5 * place, first)
    value -= np.where(code[last] & 16, 1 << 5 * (place[last] + 1), 0)
    value[1::2] = np.cumsum(value[1::2])
    value[2::2] = np.cumsum(value[2::2])
    return value
