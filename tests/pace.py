"""Limits of time that hold on slow and busy machines: they stretch by what a fresh Python takes there.

A limit tells "at once" from "waited for"; what is waited for takes longer on such a machine too.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import TypeVar

T = TypeVar("T")

# seconds of a fresh Python that imports asyncio, on a quiet machine (two cores of 2.5 GHz)
QUIET = 0.12


def pace() -> float:
    """How many times longer than on a quiet machine a fresh Python takes now; at least 1."""
    taken = []
    for _ in range(5):
        begun = time.monotonic()
        subprocess.run([sys.executable, "-I", "-c", "import asyncio"], check=True)
        taken.append(time.monotonic() - begun)
    return max(1.0, median(taken) / QUIET)


@contextmanager
def within(seconds: float, what: str = "this") -> Iterator[None]:
    """The block takes at most `seconds` of a quiet machine."""
    begun = time.monotonic()
    yield
    taken = time.monotonic() - begun
    if taken > seconds:
        assert taken <= seconds * (stretch := pace()), (
            f"{what} took {taken:.1f} s, more than {seconds} s x {stretch:.1f}"
        )


def wait_for(found: Callable[[], T | None], seconds: float, what: str, why: Callable[[], str] = str) -> T:
    """What `found` returns once it is true, at most `seconds` of a quiet machine from now."""
    begun, stretch = time.monotonic(), 1.0
    while not (it := found()):
        waited = time.monotonic() - begun
        if waited > seconds * stretch:
            stretch = max(stretch, pace())  # which takes some time, so that it is looked once more
            late = waited > seconds * stretch and not found()
            assert not late, f"waited {seconds} s x {stretch:.1f} for {what}\n{why()}"
        else:
            time.sleep(0.1)
    return it
