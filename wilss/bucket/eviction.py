"""What goes from this disk when more comes than a limit allows: what was not used for the longest time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

Kept = TypeVar("Kept")
LOW = 0.9
"""Share of the limit that is left when something had to go, so that it need not at once again."""


def let_go(
    held: int, coming: int, limit: int, oldest: Callable[[], Iterable[tuple[int, Kept]]], remove: Callable[[Kept], None]
) -> int:
    """Remove until what comes fits, and some more.

    Args:
        held: bytes on the disk.
        coming: bytes that are about to be written.
        oldest: bytes and name of each thing that may go, the one longest unused first; asked for only if one has to.
        remove: makes one go.

    Returns:
        Bytes that are left; more than the limit where too little may go.
    """
    if held + coming <= limit:
        return held
    for size, name in oldest():
        remove(name)
        held -= size
        if held + coming <= limit * LOW:
            break
    return held
