"""A bucket's photographs in a folder: what is new there is copied, so that the folder can be watched and learnt from.

Needs the extra ``buckets``. Nothing is kept about what was copied: a copy has the size and the time of its object, and
one that was changed here is never written over. What leaves the bucket stays in the folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wilss.errors import DataError, SpecError, WilssError
from wilss.outputs import whole_file, writable_folder

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("s3", "gs", "az")
LAST = "labels.csv"
"""Copied after what it names."""
LONGEST = 300
"""Letters of a provider's answer that are passed on."""
PIECE = 8 << 20
"""Bytes of an object that are held at once, so that photographs of any size pass."""


def is_address(place: str) -> bool:
    """Whether it names a bucket, not a folder."""
    return "://" in place


class Mirror:
    """A prefix of a bucket and the folder that follows it.

    Args:
        address: ``s3://``, ``gs://`` or ``az://`` with bucket and prefix. Credentials come from the environment, as the
            provider's own tools read them.
        folder: is made where it is missing.

    Raises:
        SpecError: an address of another kind, or with a user, a password or a query in it; the extra is missing.
    """

    def __init__(self, address: str, folder: Path, store: ObjectStore | None = None) -> None:
        self.address, self.folder = address, writable_folder(folder)
        self._store = store or _store(address)
        self._copied: dict[str, object] = {}

    def refresh(self) -> int:
        """Copy what is new; returns how many files that were.

        Raises:
            DataError: the bucket cannot be read, holds nothing of use, or would write over what was changed here.
        """
        import obstore

        with self._readable():
            found = {meta["path"]: meta for page in obstore.list(self._store) for meta in page if meta["size"]}
            if not found:
                raise DataError(
                    f"'{self.address}' holds no object; name the prefix that has images/ and {LAST} below it"
                )
            wanted = [
                path for path in sorted(found, key=lambda path: (path == LAST, path)) if self._differs(found[path])
            ]
            for path in wanted:
                self._copy(found[path])
        return len(wanted)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """What the provider or the network refuses becomes one sentence; what the disk refuses has its own."""
        from obstore.exceptions import BaseError

        try:
            yield
        except WilssError:
            raise
        except (BaseError, OSError) as error:
            raise DataError(
                f"'{self.address}' cannot be read ({_first_line(error)}); see that bucket, prefix, credentials and "
                "network are right"
            ) from error

    def _differs(self, meta: Mapping[str, Any]) -> bool:
        """Whether an object is to be copied. Raises DataError where what was changed here stands in its place."""
        path, modified = self._place(meta["path"]), _nanoseconds(meta["last_modified"])
        if not path.exists():
            return True
        stat = path.stat()
        if stat.st_mtime_ns > modified:
            raise DataError(
                f"'{path}' was changed after '{self.address}' had it last, and is not written over; move it away, or "
                "put it into the bucket"
            )
        known = self._copied.get(meta["path"], meta["e_tag"])
        return (stat.st_size, stat.st_mtime_ns, known) != (meta["size"], modified, meta["e_tag"])

    def _copy(self, meta: Mapping[str, Any]) -> None:
        """Copy one object, with its time. A version that came after the list was made is left to the next look."""
        import obstore

        path = self._place(meta["path"])
        writable_folder(path.parent)
        with whole_file(path) as partial:
            with partial.open("wb") as file:
                for piece in obstore.get(self._store, meta["path"]).stream(min_chunk_size=PIECE):
                    file.write(piece)
            moment = _nanoseconds(meta["last_modified"])
            os.utime(partial, ns=(moment, moment))
        self._copied[meta["path"]] = meta["e_tag"]

    def _place(self, key: str) -> Path:
        """Where an object lies in the folder. Raises DataError for a name that leads out of it."""
        parts = PurePosixPath(key).parts
        if not parts or any(part in ("..", "/") or "\\" in part or "\0" in part for part in parts):
            raise DataError(f"'{self.address}' has an object '{key}', which has no place in a folder; rename it")
        return self.folder.joinpath(*parts)


def _store(address: str) -> ObjectStore:
    said = urlsplit(address)
    if said.scheme not in SCHEMES or not said.netloc:
        raise SpecError(f"'{address}' is no bucket; they are named as {', '.join(f'{one}://...' for one in SCHEMES)}")
    if "@" in said.netloc or said.query or said.fragment:
        raise SpecError(
            f"the address of '{said.scheme}://{said.hostname}' has a user or options in it; credentials come from the "
            "environment, as the provider's own tools read them"
        )
    try:
        from obstore.store import from_url
    except ModuleNotFoundError as error:
        raise SpecError(
            f"'{address}' is read by obstore, which is not installed; pip install 'wilss[buckets]'"
        ) from error
    return from_url(address)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def _first_line(error: Exception) -> str:
    """Of what the provider said, which may go on for pages."""
    return next((line.strip()[:LONGEST] for line in str(error).splitlines() if line.strip()), type(error).__name__)
