"""Who uses a store: every run holds a lock of its own, so that what it has not finished yet is not collected."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from uuid import uuid4

from filelock import FileLock

from stores.locks import held, held_now
from stores.presence import alone_in_bucket, present
from wilss.bucket.remote import remote_of
from wilss.outputs import writing

IN_USE = ".in-use"
GATE = "gate.lock"


@contextmanager
def using(root: Path) -> Iterator[None]:
    """Use a store; waits while somebody collects. Raises StorageError for a root that cannot be written."""
    folder = root / IN_USE
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{os.getpid()}-{uuid4().hex}.lock"
        lock = FileLock(path)
        with held(folder / GATE, None):
            lock.acquire()
    try:
        remote = remote_of(root)
        with nullcontext() if remote is None else present(remote):
            yield
    finally:
        lock.release()
        path.unlink(missing_ok=True)


@contextmanager
def alone_in(root: Path) -> Iterator[bool]:
    """Hold all others off; tells whether no run uses the store. Locks that killed runs left are removed."""
    folder = root / IN_USE
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder / GATE, None):
        busy = False
        for path in folder.glob("*-*.lock"):
            with held_now(path) as free:
                busy = busy or not free
                if free:
                    path.unlink(missing_ok=True)
        if (remote := remote_of(root)) is None:
            yield not busy
            return
        with alone_in_bucket(remote) as alone:
            yield alone and not busy
