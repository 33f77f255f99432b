"""The parts in which a batch goes through the network: cut, and drawn while the one before is learnt from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

from wilss.parallel.rows import Rows

B = TypeVar("B")


def drawn(parts: Iterable[list[int]], draw: Callable[[list[int]], B], ahead: bool) -> Iterator[B]:
    """Batches in order.

    Args:
        ahead: draw the next one in a thread while the last one is learnt from, as pays where the device is not the CPU
            that draws. All draws are made one after the other, so that they are the same.
    """
    if not ahead:
        yield from map(draw, parts)
        return
    with ThreadPoolExecutor(1) as pool:
        coming: Future[B] | None = None
        for part in parts:
            batch, coming = coming, pool.submit(draw, part)
            if batch is not None:
                yield batch.result()
        if coming is not None:
            yield coming.result()


def own_of(positions: list[int]) -> list[int]:
    """Those of a part that this rank reads."""
    return Rows.of_rank(len(positions)).of(positions)


def split(positions: list[int], parts: int) -> list[list[int]]:
    """Contiguous parts of equal size up to one; never a part of one image, which BatchNorm cannot take."""
    parts = max(1, min(parts, len(positions) // 2))
    bounds = [len(positions) * k // parts for k in range(parts + 1)]
    return [positions[a:b] for a, b in pairwise(bounds)]
