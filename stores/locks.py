"""Locks between processes: files that are held, and freed when their process ends, however it does."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from stores.progress import say

PATIENCE = 30.0
"""Seconds after which who waits for a lock says whom it waits for, again and again."""


@contextmanager
def held(path: Path, on_wait: Callable[[], None] | None) -> Iterator[None]:
    """Hold a lock file; beside it stands, as long as it is held, which process holds it.

    Args:
        on_wait: called before waiting for another process that holds it.
    """
    lock, holder = FileLock(path), Path(f"{path}.pid")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if on_wait is not None:
            on_wait()
        _wait(lock, path, holder)
    try:
        with suppress(OSError):  # a full disk: it only helps those who wait
            holder.write_text(f"{os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        holder.unlink(missing_ok=True)
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


def _wait(lock: FileLock, path: Path, holder: Path) -> None:
    """Wait for a lock without an end, and say now and then who holds it."""
    begun = time.monotonic()
    while True:
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            who = "another process"
            with suppress(OSError, UnicodeDecodeError):  # it may be gone by now
                who = f"process {holder.read_text()[:200]}"
            say(f"waited {time.monotonic() - begun:.0f} s for {who}, which holds '{path}'; end it if it hangs")
        else:
            return
