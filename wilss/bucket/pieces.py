"""Pieces of objects that were read, kept on this disk up to a limit: those not used for the longest time go.

A piece's name tells the version of its object, and its file begins with a checksum: what an older version held, or what
is damaged here, is never taken for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

from wilss.bucket.address import cache_bytes, cache_home
from wilss.bucket.eviction import let_go

FOLDER = "data"
"""Below `cache_home`."""
OFTEN = 0.05
"""Share of the limit that comes before others' files are counted anew."""
LOCKS = 64


class Pieces:
    """Files of pieces, of all buckets; may be used by several threads and processes.

    Args:
        folder, limit: those of the environment when left out. Where the disk takes no more, nothing is kept.
    """

    def __init__(self, folder: Path | None = None, limit: int | None = None) -> None:
        self._folder = folder or cache_home() / FOLDER
        self._limit = cache_bytes() if limit is None else limit
        self._room, self._held, self._came = threading.Lock(), -1, 0
        self._locks = [threading.Lock() for _ in range(LOCKS)]

    def obtain(self, name: str, fetch: Callable[[], bytes]) -> bytes:
        """A piece: the kept one, or what ``fetch`` gives, which is asked once by threads that want it together."""
        key = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:40]
        path = self._folder / key[:2] / key
        with self._locks[int(key[:8], 16) % LOCKS]:
            if (known := _read(path)) is not None:
                return known
            found = fetch()
            self._keep(path, found)
            return found

    def _keep(self, path: Path, content: bytes) -> None:
        if len(content) > self._limit:
            return
        self._make_room(len(content))
        partial = path.with_name(f".{uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(zlib.crc32(content).to_bytes(4, "big") + content)
            partial.replace(path)
        except OSError:  # it only saves time
            with contextlib.suppress(OSError):
                partial.unlink()

    def _make_room(self, size: int) -> None:
        with self._room:
            self._came += size
            if self._held < 0 or self._came > OFTEN * self._limit or self._held + size > self._limit:
                self._held, self._came = self._let_go(size), size
            self._held += size

    def _let_go(self, size: int) -> int:
        """Bytes that are left."""
        found = list(_files(self._folder))

        def oldest() -> Iterator[tuple[int, str]]:
            return ((bytes_, path) for _, bytes_, path in sorted(found))

        return let_go(sum(bytes_ for _, bytes_, _ in found), size, self._limit, oldest, _unlink)


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)  # noqa: PTH108 - a Path costs as much again, and there are many


def _read(path: Path) -> bytes | None:
    """A kept piece, which is used now; None for one that is not there, or damaged."""
    try:
        content = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    return content[4:] if zlib.crc32(content[4:]).to_bytes(4, "big") == content[:4] else None


def _files(folder: Path) -> Iterator[tuple[float, int, str]]:
    """When each file was used, its bytes, its path."""
    with contextlib.suppress(OSError), os.scandir(folder) as parts:
        for part in parts:
            with contextlib.suppress(OSError), os.scandir(part) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):
                        facts = entry.stat()
                        yield facts.st_mtime, facts.st_size, entry.path
