"""How much of a bucket's files a working root keeps: what was not used for the longest time goes, by whole artefacts.

What a living process has opened stays. Manifests stay too, and whatever is being made.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from wilss.bucket.address import OWN, cache_bytes
from wilss.bucket.eviction import let_go
from wilss.layout import KINDS, MANIFEST


class Cache:
    """The files of artefacts in a working root; may be used by several threads and processes."""

    def __init__(self, root: Path) -> None:
        self._root, self._own = root, root / OWN / "pins"
        self._limit, self._held = cache_bytes(), -1
        self._lock, self._pinned = threading.RLock(), set[str]()
        self._pins: tuple[FileLock, Path] | None = None

    def use(self, kind: str, digest: str) -> None:
        """Note that an artefact is used now: it stays as long as this process lives."""
        name = f"{kind}/{digest}"
        if name in self._pinned:
            return
        with self._lock, self._gate():
            self._pin(name)
            used = self._used(name)
            used.parent.mkdir(parents=True, exist_ok=True)
            used.touch()

    def make_room(self, size: int) -> None:
        """Let go of what is over the limit when so many bytes come; what is in use may be over it."""
        with self._lock:
            if self._held < 0 or self._held + size > self._limit:
                with self._gate():
                    self._held = self._let_go(size)
            self._held += size

    def _let_go(self, size: int) -> int:
        """Bytes that are left."""
        found = {name: _bytes_of(self._folder(name)) for name in self._names()}

        def oldest() -> Iterator[tuple[int, str]]:
            pinned = self._pinned | set(self._pinned_by_others())
            return ((found[name], name) for name in sorted(found.keys() - pinned, key=self._age))

        return let_go(sum(found.values()), size, self._limit, oldest, remove=lambda name: _empty(self._folder(name)))

    def _names(self) -> Iterator[str]:
        for kind in KINDS:
            for folder in (self._root / kind).glob("??/*"):
                if folder.name.isalnum():
                    yield f"{kind}/{folder.name}"

    def _folder(self, name: str) -> Path:
        kind, digest = name.split("/")
        return self._root / kind / digest[:2] / digest

    def _used(self, name: str) -> Path:
        return self._root / OWN / "used" / name

    def _age(self, name: str) -> float:
        try:
            return self._used(name).stat().st_mtime
        except OSError:
            return 0.0

    def _gate(self) -> FileLock:
        self._own.mkdir(parents=True, exist_ok=True)
        return FileLock(self._own / "gate.lock")

    def _pin(self, name: str) -> None:
        if self._pins is None:
            path = self._own / f"{os.getpid()}-{uuid4().hex}.txt"
            lock = FileLock(path.with_suffix(".lock"))
            lock.acquire()  # the system lets go of it however this process ends
            self._pins = lock, path
        with self._pins[1].open("a", encoding="utf-8") as handle:
            handle.write(f"{name}\n")
        self._pinned.add(name)

    def _pinned_by_others(self) -> Iterator[str]:
        """What living processes use; the notes of those that ended go."""
        for path in self._own.glob("*.txt"):
            if self._pins and path == self._pins[1]:
                continue
            lock = FileLock(path.with_suffix(".lock"))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                yield from path.read_text(encoding="utf-8").split()
                continue
            path.unlink(missing_ok=True)
            lock.release()
            path.with_suffix(".lock").unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.name != MANIFEST and not path.is_dir())


def _bytes_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in _files(folder))


def _empty(folder: Path) -> None:
    for path in list(_files(folder)):
        path.unlink(missing_ok=True)
