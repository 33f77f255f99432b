"""Lock files: one builder at a time; a lock dies with its process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def held(path: Path, on_wait: Callable[[], None] | None) -> Iterator[None]:
    """Hold a lock file.

    Args:
        on_wait: called before waiting for another process that holds it.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if on_wait is not None:
            on_wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def held_now(path: Path) -> Iterator[bool]:
    """Hold a lock file unless another process has it; tells whether it is held."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
