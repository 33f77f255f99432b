"""What is known of files by their contents, remembered by their stamps, so that a file is read once. No torch."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path

from wilss.data.places.place import DISK, Place
from wilss.errors import DataNotFoundError

NAME = "stamps.sqlite"
"""Of the file in a root folder. It only saves time: whoever deletes it has every file read once more."""
DIGEST = "sha256"
"""Kind of a digest of a file's bytes."""
BATCH = 5_000
TABLE = "CREATE TABLE IF NOT EXISTS facts (path TEXT, kind TEXT, stamp TEXT, value TEXT, PRIMARY KEY (path, kind))"
FIND = "SELECT value FROM facts WHERE path = ? AND kind = ? AND stamp = ?"
FIND_BELOW = "SELECT path, stamp, value FROM facts WHERE path >= ? AND path < ? AND kind = ?"
KEEP = "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)"
Key = tuple[str, str, str]
"""Path, kind, stamp."""


class Stamps:
    """Digests of files, and other facts that follow from their contents alone. Threads and processes may share it.

    Where its file cannot be written, or its folder does not exist, facts are remembered as long as the object lives.

    Args:
        file: SQLite file; None keeps nothing on the disk.
        place: where the files lie.
    """

    def __init__(self, file: Path | None, place: Place = DISK) -> None:
        self._file, self.place = file, place
        self._new: dict[Key, str] = {}
        self._read: dict[Key, str] = {}
        self._unsaved: list[Key] = []
        self._lock = threading.Lock()
        self._base: sqlite3.Connection | None = None
        self._closed = False

    def digest(self, path: Path) -> str:
        """SHA-256 of a file's bytes, hexadecimal. Raises DataNotFoundError where there is no file."""
        return self.fact(path, DIGEST, self._digest)

    def _digest(self, path: Path) -> dict[str, str]:
        content = self.place.held(path)
        return {DIGEST: sha256(path) if content is None else hashlib.sha256(content).hexdigest()}

    def fact(self, path: Path, kind: str, find: Callable[[Path], Mapping[str, str]]) -> str:
        """A fact about a file: remembered, or found now.

        Args:
            kind: its name, with a version of ``find``, such as "image 2".
            find: facts by kind that follow from the file's contents; all of them are remembered.
        """
        stamp, settled = self.place.stamp(path)
        key = (self._whole(path), kind, stamp)
        if settled and (known := self._recall(key)) is not None:
            return known
        found = find(path)
        if settled and self.place.stamp(path)[0] == stamp:
            for name, value in found.items():
                self._remember((key[0], name, stamp), value)
        return found[kind]

    def unknown(self, paths: Iterable[Path], kind: str) -> list[Path]:
        """Files of which a fact is not remembered, though it could be; what is known of their folders is read at once.

        Those that do not exist, or were just written, are not among them.
        """
        listed = list(paths)
        for folder in {os.path.dirname(self._whole(path)) for path in listed}:  # noqa: PTH120 - a Path costs ten times as much
            self._read_folder(folder, kind)
        return [path for path in listed if not self._knows(path, kind)]

    def remember(self, path: Path, stamp: str, found: Mapping[str, str]) -> None:
        """Remember facts that were found elsewhere, unless the file has changed or may change unseen.

        Args:
            stamp: of its place, before they were found.
        """
        try:
            now, settled = self.place.stamp(path)
        except DataNotFoundError:
            return
        if settled and now == stamp:
            for name, value in found.items():
                self._remember((self._whole(path), name, stamp), value)

    def _knows(self, path: Path, kind: str) -> bool:
        try:
            stamp, settled = self.place.stamp(path)
        except DataNotFoundError:
            return True  # there is nothing to be found
        return not settled or self._recall((self._whole(path), kind, stamp)) is not None

    def _read_folder(self, folder: str, kind: str) -> None:
        beginning = folder.rstrip(os.sep) + os.sep
        with self._lock:
            base = self._connected()
            try:
                rows = base.execute(FIND_BELOW, (beginning, beginning + "\U0010ffff", kind)).fetchall() if base else []
            except sqlite3.Error:
                self._drop()
                return
            self._read.update({(path, kind, stamp): value for path, stamp, value in rows})

    def _whole(self, path: Path) -> str:
        """A path as every working folder has it."""
        return str(path) if self.place.far else os.path.abspath(path)  # noqa: PTH100 - resolve() asks for every folder

    def save(self) -> None:
        """Write what is new to the file."""
        with self._lock:
            self._save()

    def _recall(self, key: Key) -> str | None:
        with self._lock:
            if (known := self._new.get(key) or self._read.get(key)) is not None:
                return known
            base = self._connected()
            try:
                row = base.execute(FIND, key).fetchone() if base else None
            except sqlite3.Error:
                self._drop()
                return None
        return str(row[0]) if row else None

    def _remember(self, key: Key, value: str) -> None:
        with self._lock:
            self._new[key] = value
            self._unsaved.append(key)
            if len(self._unsaved) >= BATCH:
                self._save()

    def _save(self) -> None:
        base = self._connected(make=bool(self._unsaved))
        if base is None:
            return
        rows = [(*key, self._new[key]) for key in self._unsaved]
        try:
            with base:
                base.executemany(KEEP, rows)
        except sqlite3.Error:  # a full disk, a folder that may not be written, another process that holds it for long
            self._drop()
            return
        self._unsaved.clear()
        self._new.clear()

    def _connected(self, make: bool = False) -> sqlite3.Connection | None:
        """The open file; None where there is none yet, or none that can be used."""
        if self._base or self._closed or self._file is None:
            return self._base
        if not self._file.is_file() and not (make and self._file.parent.is_dir()):
            return None
        for _ in range(2):
            try:
                self._base = _opened(self._file)
            except sqlite3.OperationalError:
                break
            except sqlite3.DatabaseError:  # damaged; nothing is lost with it
                self._file.unlink(missing_ok=True)
            else:
                return self._base
        self._closed = True
        return None

    def _drop(self) -> None:
        if self._base is not None:
            self._base.close()
        self._base, self._closed = None, True


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _opened(file: Path) -> sqlite3.Connection:
    base = sqlite3.connect(file, timeout=10, check_same_thread=False, isolation_level="IMMEDIATE")
    try:
        with closing(base.cursor()) as cursor:
            cursor.execute(TABLE)
            cursor.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error:
        base.close()
        raise
    return base
