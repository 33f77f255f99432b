"""A folder of data in a bucket: listed once, read in pieces, which this disk keeps up to a limit. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wilss.bucket.address import DATA, Marker, as_named, endpoint_here, parse_address
from wilss.bucket.client import Client, Held
from wilss.bucket.pieces import Pieces
from wilss.data.index import index_images, index_masks
from wilss.data.places.place import MOST_BYTES, Layout, Part
from wilss.digest import digest_of
from wilss.errors import DataError, DataNotFoundError

PIECE = 1 << 20
"""Bytes that are asked for at once; what lies beside them in a shard is read soon."""


@dataclass(frozen=True)
class Object:
    """An entry of a folder, as `os.scandir` has them."""

    name: str
    path: str
    folder: bool = False

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether objects lie below it."""
        return self.folder

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is an object."""
        return not self.folder

    def is_symlink(self) -> bool:
        """Never."""
        return False


class BucketFolder:
    """The objects below an address, as they were listed when it was opened.

    Args:
        root: its address.

    Raises BucketError for a bucket that cannot be listed, DataNotFoundError where it has nothing below the address.
    """

    far: bool = True
    tagged: bool = False

    def __init__(self, root: Path) -> None:
        self._root, address = as_named(root), parse_address(root, DATA)
        marker = Marker(bucket=address.bucket, prefix=address.prefix, endpoint=endpoint_here())
        self._client, self._pieces = Client(marker, DATA), Pieces()
        self._named = f"{address} {marker.endpoint}"
        listed = self._client.list("")
        self._folders = _folders_of(listed)
        self._files = {held.key: held for held in listed if held.key not in self._folders}
        if not self._files:
            raise DataNotFoundError(f"'{address}' holds nothing; see that bucket and prefix are those of the data")

    @property
    def state(self) -> str:
        """Digest of what is listed."""
        return digest_of([list(held) for held in self._files.values()])

    def is_file(self, path: Path) -> bool:
        """See `wilss.data.places.place.Place`."""
        return self._key(path) in self._files

    def is_folder(self, path: Path) -> bool:
        """See `wilss.data.places.place.Place`."""
        return self._key(path) in self._folders

    def stamp(self, path: Path) -> tuple[str, bool]:
        """See `wilss.data.places.place.Place`: size and tag, which are of one version."""
        held = self._held(path)
        return f"{held.bytes} {held.tag}", bool(held.tag)

    def held(self, path: Path) -> bytes | None:
        """See `wilss.data.places.place.Place`."""
        size = self.size(path)
        if size > MOST_BYTES:
            raise DataError(f"'{path}' is larger than {MOST_BYTES >> 20} MiB; shrink it first")
        return self.part(path, 0, size)

    def lies(self, path: Path) -> Part:
        """Nowhere. Raises DataNotFoundError."""
        raise DataNotFoundError(f"'{path}' lies in a bucket; read it through this object")

    def layout(self, root: Path) -> Layout:
        """See `wilss.data.places.place.Place`: ``images`` and ``masks``."""
        images = index_images(root / "images", scan=self._entries)
        return Layout(images, index_masks(root / "masks", images, scan=self._entries))

    def names(self, folder: Path) -> list[str]:
        """See `wilss.data.places.place.Ranged`."""
        return sorted(entry.name for entry in self._entries(folder) if not entry.folder)

    def size(self, path: Path) -> int:
        """See `wilss.data.places.place.Ranged`."""
        return self._held(path).bytes

    def part(self, path: Path, start: int, size: int) -> bytes:
        """See `wilss.data.places.place.Ranged`."""
        held = self._held(path)
        end = min(start + size, held.bytes)
        if start >= end:
            return b""
        first = start // PIECE
        pieces = [self._piece(held, number) for number in range(first, (end - 1) // PIECE + 1)]
        return b"".join(pieces)[start - first * PIECE : end - first * PIECE]

    def _piece(self, held: Held, number: int) -> bytes:
        start = number * PIECE

        def fetch() -> bytes:
            found = self._client.part(held, start, min(start + PIECE, held.bytes))
            if found is None:
                raise DataError(
                    f"'{self._client.address}/{held.key}' has changed or is gone since the bucket was listed; start "
                    "again when it is whole"
                )
            return found

        return self._pieces.obtain(f"{self._named} {held.key} {held.bytes} {held.tag} {number}", fetch)

    def _held(self, path: Path) -> Held:
        held = self._files.get(self._key(path))
        if held is None:
            raise DataNotFoundError(f"'{path}' is not in the bucket; is a file missing?")
        return held

    def _key(self, path: Path) -> str:
        return str(path)[len(str(self._root)) + 1 :]

    def _entries(self, folder: Path) -> Iterator[Object]:
        """What lies right in a folder."""
        below = f"{key}/" if (key := self._key(folder)) else ""
        for names, is_folder in ((self._files, False), (self._folders, True)):
            for name in names:
                if name.startswith(below) and name != below and "/" not in (own := name[len(below) :]):
                    yield Object(own, f"{folder}/{own}", is_folder)


def _folders_of(listed: list[Held]) -> set[str]:
    """Names that other objects lie below; some programs write an empty object for a folder."""
    found = set[str]()
    for held in listed:
        name = held.key
        while name := name.rpartition("/")[0]:
            if name in found:
                break
            found.add(name)
    return found
