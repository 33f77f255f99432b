"""Having files of a far place at hand before they are read one by one. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wilss.data.places.place import Place
from wilss.errors import WilssError

SIDE_BY_SIDE = 16
"""Requests that are made at once."""


def bring(place: Place, paths: Sequence[Path]) -> None:
    """Read files of a far place once, several at a time, so that they are kept near by."""
    at_once(place.held, paths)


def at_once(look: Callable[[Path], object], paths: Sequence[Path]) -> None:
    """Ask for several files at a time; a fault is left to whoever asks for the file by itself."""
    with ThreadPoolExecutor(max(1, min(SIDE_BY_SIDE, len(paths)))) as pool:
        for asked in [pool.submit(look, path) for path in paths]:
            if not isinstance(asked.exception(), WilssError | None):
                asked.result()
