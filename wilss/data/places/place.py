"""What a data folder asks of the place where its files lie; a path names a file wherever its bytes are. No torch."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from wilss.data.index import FileIndex, index_images, index_masks
from wilss.errors import DataError, DataNotFoundError

SETTLED_NS = 2_000_000_000
"""A file changed less than this long ago may change again within one tick of its clock, so it is not remembered."""
MOST_BYTES = 1 << 30
"""Of an image or mask that is read at once."""


def stamp_of(path: Path | str) -> tuple[str, bool]:
    """A file's size, times of change and inode, and whether they can be trusted to change with it.

    Raises DataNotFoundError where there is no file.
    """
    try:
        facts = os.stat(path)  # noqa: PTH116 - a Path costs as much again, and there are many
    except OSError as error:
        raise DataNotFoundError(f"'{path}' does not exist; is a file missing, or a link's target?") from error
    changed = max(facts.st_mtime_ns, facts.st_ctime_ns)
    stamp = f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns} {facts.st_ino}"
    return stamp, time.time_ns() - changed > SETTLED_NS


@dataclass(frozen=True)
class Layout:
    """What a data folder holds.

    tags: image id -> files beside the image that may hold its tags, of which the first that does counts. groups: image
    id -> the file that it lies in together with others.
    """

    images: FileIndex
    masks: FileIndex
    tags: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    groups: Mapping[str, Path] = field(default_factory=dict)


class Part(NamedTuple):
    """Where a file's bytes are: in which file, from where, and how many; -1 all of it."""

    file: Path
    start: int = 0
    size: int = -1


class Place(Protocol):
    """Where files lie, and how they are read."""

    far: bool
    """Whether reading a file takes a request to another machine."""
    tagged: bool
    """Whether images may have their tags beside them, without a table."""

    def is_file(self, path: Path) -> bool:
        """Whether there is such a file."""
        ...

    def is_folder(self, path: Path) -> bool:
        """Whether there is such a folder, or what stands for it."""
        ...

    def stamp(self, path: Path) -> tuple[str, bool]:
        """What changes with a file, and whether that is certain. Raises DataNotFoundError where there is none."""
        ...

    def held(self, path: Path) -> bytes | None:
        """A file's bytes; None for one that lies on this disk under its path.

        Raises DataNotFoundError where there is none, DataError for one that cannot be read.
        """
        ...

    def lies(self, path: Path) -> Part:
        """Where on this disk a file's bytes are, for another process; of a place that is not far."""
        ...

    def layout(self, root: Path) -> Layout:
        """Images and masks of a data folder."""
        ...


class Ranged(Place, Protocol):
    """A place whose files are read in parts."""

    def names(self, folder: Path) -> list[str]:
        """Files right in a folder, sorted."""
        ...

    def size(self, path: Path) -> int:
        """Bytes of a file. Raises DataNotFoundError."""
        ...

    def part(self, path: Path, start: int, size: int) -> bytes:
        """Bytes of a file; fewer where it ends. Raises as `Place.held` does."""
        ...


class Disk:
    """A disk of this machine."""

    far: bool = False
    tagged: bool = False

    def is_file(self, path: Path) -> bool:
        """See `Place`."""
        return path.is_file()

    def is_folder(self, path: Path) -> bool:
        """See `Place`."""
        return path.is_dir()

    def stamp(self, path: Path) -> tuple[str, bool]:
        """See `stamp_of`."""
        return stamp_of(path)

    def held(self, path: Path) -> bytes | None:
        """See `Place`."""
        return None

    def lies(self, path: Path) -> Part:
        """See `Place`."""
        return Part(path)

    def layout(self, root: Path) -> Layout:
        """See `Place`: ``images`` and ``masks``."""
        images = index_images(root / "images")
        return Layout(images, index_masks(root / "masks", images))

    def names(self, folder: Path) -> list[str]:
        """See `Ranged`; links to nowhere too, which are told of when they are read."""
        found = folder.iterdir() if folder.is_dir() else ()
        return sorted(path.name for path in found if path.is_file() or (path.is_symlink() and not path.exists()))

    def size(self, path: Path) -> int:
        """See `Ranged`."""
        return int(stamp_of(path)[0].partition(" ")[0])

    def part(self, path: Path, start: int, size: int) -> bytes:
        """See `Ranged`."""
        try:
            with path.open("rb") as handle:
                handle.seek(start)
                return handle.read(size)
        except FileNotFoundError as error:
            raise DataNotFoundError(f"'{path}' does not exist any more; put it back") from error
        except OSError as error:
            raise DataError(f"'{path}' cannot be read ({error.strerror}); make it readable") from error


DISK = Disk()
