"""Files of sealed lines, appended only: one JSON object a line, each with a seal that covers the line before it too.

A last line without its end is what a process left that was killed while it wrote: it is passed over. Anything else that
is not as it was written is damage. Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from wilss.bucket.remote import remote_above
from wilss.damage import MEND, damaged
from wilss.errors import DamagedArtefactError, FormatError
from wilss.outside import parse_json

LINE_BYTES = 256 << 20
SEAL_DIGITS = 32


class Numbered(Protocol):
    """What a line holds: number 1 is the first one of its file, and the seal covers all before it."""

    @property
    def n(self) -> int:
        """Its number."""

    @property
    def seal(self) -> str:
        """Its seal, "" before it is written."""

    def plain(self) -> dict[str, Any]:
        """Plain data, without the seal."""

    def with_seal(self, seal: str) -> Self:
        """The same with its seal."""


Entry = TypeVar("Entry", bound=Numbered)


@dataclass(frozen=True)
class Form(Generic[Entry]):
    """What the lines of a kind of file hold.

    noun: of one, such as "act". read: its plain data -> entry, without a seal; raises FormatError. cure: what to do
    about a damaged file of a folder.
    """

    noun: str
    read: Callable[[Any], Entry]
    cure: Callable[[Path], str]

    def seal(self, entry: Entry, before: str) -> tuple[bytes, Entry]:
        """The line of an entry behind one with the seal ``before``, and the entry with its own."""
        body = json.dumps(entry.plain(), separators=(",", ":")).encode()
        seal = _seal_of(body, before)
        return body[:-1] + f',"seal":"{seal}"}}\n'.encode(), entry.with_seal(seal)

    def unseal(self, line: bytes, before: str | None) -> Entry:
        """The entry of a line behind one with the seal ``before``. Raises FormatError for what was not written so.

        Args:
            before: None takes any.
        """
        body, _, end = line.removesuffix(b"\n").rpartition(b',"seal":"')
        seal = end.removesuffix(b'"}').decode("ascii", "replace")
        if not body or len(end) != SEAL_DIGITS + 2 or (before is not None and seal != _seal_of(body + b"}", before)):
            raise FormatError("it is not what was written")
        content = parse_json((body + b"}").decode("utf-8", "replace"), "it is no JSON", MEND)
        return self.read(content).with_seal(seal)


class SealedLines(Generic[Entry]):
    """The entries of one file, read as far as they were written when they were last looked at."""

    def __init__(self, folder: Path, name: str, form: Form[Entry]) -> None:
        self.folder, self.path, self.form = folder, folder / name, form
        self._is_anew = False
        self._forget()

    def _forget(self) -> None:
        self.read, self.lines, self.seal = 0, 0, ""
        self._file: tuple[int, int] | None = None

    def news(self) -> tuple[bool, list[Entry]]:
        """Entries that were written since the last call, and whether they begin anew: the file was replaced.

        Raises DamagedArtefactError that names the line which is not what was written.
        """
        self._look()
        try:
            facts = self.path.stat()
        except FileNotFoundError:
            self._is_anew |= self.lines > 0
            self._forget()
            return self._told_anew(), []
        file = (facts.st_dev, facts.st_ino)
        if self.lines > 0 and (file != self._file or facts.st_size < self.read):
            self._is_anew = True
            self._forget()
        self._file, kept = file, (self.read, self.lines, self.seal)
        try:
            entries = list(self._tail()) if facts.st_size > self.read else []
        except DamagedArtefactError:  # what was read before is given again when the file is mended
            self.read, self.lines, self.seal = kept
            raise
        return self._told_anew(), entries

    def _look(self) -> None:
        """Have what the bucket has, where the root is one."""
        if remote := remote_above(self.folder):
            from wilss.bucket.logs import refresh

            refresh(remote, self.path)

    def _told_anew(self) -> bool:
        """Whether entries begin anew, also where what came then was damaged; told once."""
        anew, self._is_anew = self._is_anew, False
        return anew

    def _tail(self) -> Iterator[Entry]:
        with self.path.open("rb") as handle:
            handle.seek(self.read)
            while (line := handle.readline(LINE_BYTES + 1)).endswith(b"\n"):
                yield self._read(line)
        if len(line) > LINE_BYTES:
            raise self._damage(f"it is longer than {LINE_BYTES} bytes")

    def _read(self, line: bytes) -> Entry:
        try:
            entry = self.form.unseal(line, self.seal)
            if entry.n != self.lines + 1:
                raise FormatError(f"it is {self.form.noun} {entry.n}, expected is {self.form.noun} {self.lines + 1}")
        except FormatError as error:
            raise self._damage(error) from error
        self._passed(line, entry)
        return entry

    def _passed(self, line: bytes, entry: Entry) -> None:
        self.read, self.lines, self.seal = self.read + len(line), entry.n, entry.seal

    def _damage(self, reason: object) -> DamagedArtefactError:
        fault = f"line {self.lines + 1}: {reason}"
        return damaged(self.folder, self.path.name, fault, self.form.cure(self.folder))


def seal_in(line: bytes) -> str | None:
    """The seal that a damaged line holds still; None where it has none."""
    end = line.rstrip(b"\n").rpartition(b',"seal":"')[2].removesuffix(b'"}')
    seal = end.decode("ascii", "replace")
    is_seal = len(seal) == SEAL_DIGITS and not set(seal) - set("0123456789abcdef")
    return seal if is_seal else None


def _seal_of(body: bytes, before: str) -> str:
    return hashlib.sha256(before.encode() + body).hexdigest()[:SEAL_DIGITS]
