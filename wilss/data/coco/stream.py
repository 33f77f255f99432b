"""Large JSON files, read record by record: no more than one record is in memory at a time. No torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from wilss.errors import FormatError

FILE_BYTES = 2 << 30
"""Of an annotation file; COCO's largest has 0.5 GB, that of LVIS 1.1."""
RECORD = 16 << 20
"""Characters of one record: an uncompressed run length of a very large image has a tenth of it."""
CHUNK = 1 << 20
MARGIN = 1 << 16
"""Read on when less than this is left: hardly any record is tried twice."""
BLANKS = " \t\n\r"


def records(path: Path, advice: str) -> Iterator[tuple[str, Any]]:
    """The records of a JSON file that is one mapping, as (key, record), in the file's order.

    Every element of a list is a record; so is a value that is no list.

    Args:
        advice: what to do about a file that cannot be read; it ends the message.

    Raises FormatError for a file that is missing, too large, no JSON, no mapping, that has a key twice or a record of
    more than `RECORD` characters.
    """
    problem = f"'{path}' is no COCO annotation file"
    try:
        if path.stat().st_size > FILE_BYTES:
            raise FormatError(f"{problem} (it is larger than {FILE_BYTES} bytes); {advice}")
        with path.open("rb") as head:
            encoding = json.detect_encoding(head.read(4))
        with path.open(encoding=encoding) as handle:
            yield from _Reader(handle).records()
    except OSError as reason:
        raise FormatError(f"{problem} ({reason.strerror}); {advice}") from reason
    except (ValueError, RecursionError) as reason:  # JSON's and Unicode's errors are ValueErrors
        raise FormatError(f"{problem} ({str(reason)[:200]}); {advice}") from reason


class _Reader:
    """A window on the text of a file, and what stands at its front. Raises ValueError for what is no JSON."""

    def __init__(self, handle: TextIO) -> None:
        self._handle, self._text, self._at, self._ended = handle, "", 0, False
        self._decoder = json.JSONDecoder()

    def records(self) -> Iterator[tuple[str, Any]]:
        """Every record of the mapping, see `records`."""
        seen: set[str] = set()
        self._take("{", "it is no mapping with images, annotations and categories")
        for _ in self._members("}"):
            key = self._value()
            if not isinstance(key, str) or key in seen:
                raise ValueError(f"the key {key!r:.40} comes twice or is no text")
            seen.add(key)
            self._take(":", f"a colon is missing after {key!r:.40}")
            if self._next() != "[":
                yield key, self._value()
                continue
            self._at += 1
            for _ in self._members("]"):
                yield key, self._value()
        if self._next():
            raise ValueError("more follows after its end")

    def _members(self, end: str) -> Iterator[None]:
        """Stop before every member until the closing bracket, which is taken."""
        first = True
        while self._next() != end:
            if not first:
                self._take(",", "a comma is missing")
            first = False
            yield
        self._at += 1

    def _take(self, character: str, problem: str) -> None:
        if self._next() != character:
            raise ValueError(problem)
        self._at += 1

    def _next(self) -> str:
        """The next character that is no blank; "" at the end."""
        text, at = self._text, self._at
        while True:
            while at < len(text) and text[at] in BLANKS:
                at += 1
            self._at = at
            if at < len(text):
                return text[at]
            if self._ended:
                return ""
            self._more(CHUNK)
            text, at = self._text, 0

    def _value(self) -> Any:
        self._next()
        if len(self._text) - self._at < MARGIN:
            self._more(CHUNK)
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if self._ended:
                    raise
            else:
                if end + len("e+1") <= len(self._text) or self._ended:  # else a number may go on
                    self._at = end
                    return value
            if len(self._text) - self._at >= RECORD:
                raise ValueError(f"a record is longer than {RECORD} characters, or is no JSON")
            self._more(min(max(CHUNK, len(self._text)), RECORD))

    def _more(self, count: int) -> None:
        if self._ended:
            return
        read = self._handle.read(count)
        self._text, self._at, self._ended = self._text[self._at :] + read, 0, not read
