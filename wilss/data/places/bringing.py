"""Having files of a far place at hand before they are read one by one. No torch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from wilss.data.places.place import Place
from wilss.errors import WilssError

SIDE_BY_SIDE = 16
"""Requests that are made at once."""
WAITING = 64 * SIDE_BY_SIDE


def bring(place: Place, paths: Iterable[Path]) -> None:
    """Read files of a far place once, several at a time, so that they are kept near by; others are near."""
    if place.far:
        at_once(place.held, paths)


def at_once(look: Callable[[Path], object], paths: Iterable[Path]) -> None:
    """Ask for several files at a time, and keep no answer; a fault is left to whoever asks for the file by itself."""

    def ask(path: Path) -> None:
        with contextlib.suppress(WilssError):
            look(path)

    coming = iter(paths)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        while part := list(islice(coming, WAITING)):  # the pool would take in all of them
            for _ in pool.map(ask, part):
                pass
