"""What a tar holds and where, from its headers alone; nothing is unpacked. No torch."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

from wilss.data.places.place import Ranged
from wilss.errors import DataError

BLOCK = tarfile.BLOCKSIZE
AT_ONCE = 1 << 20
MOST_HEADER = 1 << 20
"""Bytes of one header, names included; a tar may claim any number."""
PACKED = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"}
"""First bytes of a compressed file, and what unpacks it."""
AGAIN = "fetch or write it again"


class Member(NamedTuple):
    """A file in a tar: its name there, where its bytes begin, and how many they are."""

    name: str
    start: int
    size: int


def members_of(path: Path, place: Ranged) -> tuple[list[Member], int]:
    """The files of a tar, in its order, and how many other entries it has (links, devices; folders do not count).

    A hard link to a file that stands before it in the tar, as programs write the second name of a file, is that file.

    Raises DataError for a tar that is compressed, cut short or damaged, and for what is none.
    """
    _require_plain(path, place)
    found: dict[str, Member] = {}
    again: list[Member] = []
    others = 0
    for entry in _entries(path, place):
        linked = found.get(entry.linkname) if entry.islnk() else None
        if linked or (entry.isreg() and not entry.issparse()):
            member = Member(entry.name, *(linked[1:] if linked else (entry.offset_data, entry.size)))
            again += [member] if entry.name in found else []
            found.setdefault(entry.name, member)
        else:
            others += not entry.isdir()
    return [*found.values(), *again], others


def _require_plain(path: Path, place: Ranged) -> None:
    start = place.part(path, 0, 8)
    for mark, cure in PACKED.items():
        if start.startswith(mark):
            raise DataError(f"'{path}' is compressed, so that no image in it can be read by itself; {cure} it first")


def _entries(path: Path, place: Ranged) -> Iterator[tarfile.TarInfo]:
    size, end = place.size(path), 0
    try:
        with tarfile.open(
            fileobj=cast(IO[bytes], _Headers(path, place, size)),
            mode="r:",
            encoding="utf-8",
            errors="backslashreplace",
        ) as tar:
            while (entry := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # it would keep them all
                if tar.offset <= end:
                    raise DataError(f"'{path}' has an entry of negative size at byte {end}; {AGAIN}")
                end = tar.offset
                if end > size:
                    raise DataError(f"'{path}' is cut short: '{entry.name}' goes beyond its {size} bytes; {AGAIN}")
                yield entry
    except (tarfile.TarError, RecursionError, OverflowError) as error:
        raise DataError(f"'{path}' is cut short or no tar ({str(error)[:80]}); {AGAIN}") from error
    if len(place.part(path, end, BLOCK)) < BLOCK or (wrong := _first_used(path, place, end, size)) == end:
        raise DataError(f"'{path}' is cut short or damaged at byte {end}, where a header or its end should be; {AGAIN}")
    if wrong is not None:
        raise DataError(
            f"'{path}' goes on after its end, at byte {wrong}: it is damaged, or several tars in one file; {AGAIN}, "
            "each as a file of its own"
        )


def _first_used(path: Path, place: Ranged, start: int, end: int) -> int | None:
    """The first block from ``start`` on that is not all zeros; None where all are, as programs fill tars up."""
    for at in range(start, end, AT_ONCE):
        content = place.part(path, at, min(AT_ONCE, end - at))
        if left := content.lstrip(b"\0"):
            return at + (len(content) - len(left)) // BLOCK * BLOCK
    return None


class _Headers(io.RawIOBase):
    """A tar as the library reads its headers."""

    def __init__(self, path: Path, place: Ranged, size: int) -> None:
        self._path, self._place, self._size, self._at = path, place, size, 0

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < 0:
            raise tarfile.ReadError("a header points before the beginning")
        self._at = offset
        return offset

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= MOST_HEADER:
            raise tarfile.ReadError(f"a header claims {size} bytes")
        found = self._place.part(self._path, self._at, size)
        self._at += len(found)
        return found
