"""Writing files of sealed lines (`wilss.sealed`): one writer at a time, and what is written is on the disk.

The next writer cuts off what a killed one left behind the last whole line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stores.leases import alone_with
from stores.locks import held
from stores.quarantine import place_in_quarantine
from wilss.bucket import logs
from wilss.bucket.remote import remote_above
from wilss.errors import FormatError
from wilss.outputs import flush, whole_file, writing
from wilss.sealed import LINE_BYTES, Entry, Form, SealedLines, seal_in


class Journal(SealedLines[Entry]):
    """Sealed lines that are written, too."""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only writer. Raises StorageError where the disk takes no more; then nothing was written."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with held(self.folder / ".lock", None), alone_with(self.path):
                yield

    def append(self, entry: Entry) -> Entry:
        """Write an entry behind the last one that was read; it is on the disk when this returns. See `alone`."""
        line, entry = self.form.seal(entry, self.seal)
        if len(line) > LINE_BYTES:
            raise FormatError(f"one {self.form.noun} of {len(line)} bytes is larger than {LINE_BYTES}; take less")
        if remote := remote_above(self.folder):
            logs.append(remote, self.path, self.read, line)
        begun = not self.path.exists()
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _write_at(handle, self.read, line)
            facts = os.fstat(handle)
        finally:
            os.close(handle)
        if begun:
            flush(self.folder)
            flush(self.folder.parent)
        self._passed(line, entry)
        self._file = (facts.st_dev, facts.st_ino)
        return entry


def _write_at(handle: int, end: int, line: bytes) -> None:
    """Write a line at the end of what is whole; where the disk takes only a part of it, it takes none of it."""
    if os.fstat(handle).st_size > end:
        os.ftruncate(handle, end)
    os.lseek(handle, end, os.SEEK_SET)
    try:
        left = memoryview(line)
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, end)
        raise


def readable(path: Path, form: Form[Entry]) -> tuple[list[Entry], int]:
    """Entries of the lines that are as they were written, and how many are not.

    Of a line behind one whose seal is lost nobody can tell, and it is believed.
    """
    entries, lost = list[Entry](), 0
    before: str | None = ""
    with path.open("rb") as handle:
        for line in handle:
            if not line.endswith(b"\n"):
                continue
            try:
                entries.append(entry := form.unseal(line, before))
                before = entry.seal
            except FormatError:
                lost += 1
                before = seal_in(line)
    return entries, lost


def write_anew(path: Path, form: Form[Entry], entries: Sequence[Entry]) -> None:
    """Write a whole file of entries in the place of what is there."""
    seal = ""
    with whole_file(path) as partial, partial.open("wb") as handle:
        for entry in entries:
            line, written = form.seal(entry, seal)
            handle.write(line)
            seal = written.seal
    if remote := remote_above(path.parent):
        logs.replace(remote, path)


def put_aside(root: Path, kind: str, name: str, path: Path) -> Path:
    """Copy a damaged file to quarantine, and return where it lies."""
    place = place_in_quarantine(root, kind, name, path.suffix)
    place.write_bytes(path.read_bytes())
    return place
