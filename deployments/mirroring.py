"""A bucket's photographs in a folder: what is new there is copied, so that the folder can be watched and learnt from.

Needs the extra ``buckets``. What was copied is noted in a file of the folder, so that what was changed or put there by
others is never written over. What leaves the bucket stays in the folder.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from deployments.watching import TABLE
from stores.locks import held_now
from wilss.data.colours import LABELMAP
from wilss.errors import DataError, SpecError
from wilss.outputs import require_room, whole_file, writable_folder
from wilss.outside import checked, read_json

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("s3", "gs", "az")
FOLDERS, FILES = ("images", "masks"), (TABLE, "eval.txt", LABELMAP)
"""What a folder of one's own is made of; nothing else is copied."""
NOTES, LOCK = ".wilss-bucket.json", ".wilss-bucket.lock"
ADVICE = "remove it: what lies in the folder is then held against the bucket once more"
EVERY = 30.0
"""Seconds between two lists of a bucket, each of which is paid for."""
LONGEST = 300
"""Letters of a provider's answer that are passed on."""
PIECE = 8 << 20
"""Bytes of an object that are held at once, so that photographs of any size pass."""


def is_address(place: str) -> bool:
    """Whether it names a bucket, not a folder."""
    return "://" in place


class Notes(BaseModel):
    """What was copied. copied: name of an object -> size and time in nanoseconds of its copy, and the object's tag."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    address: str
    copied: dict[str, tuple[int, int, str | None]] = {}


class Mirror:
    """A prefix of a bucket and the folder that follows it.

    Args:
        address: ``s3://``, ``gs://`` or ``az://`` with bucket and prefix. Credentials come from the environment, as the
            provider's own tools read them.
        folder: is made by the first `refresh`.
        every: seconds in which the bucket is not asked again.

    Raises SpecError for an address of another kind, or with a user, a password or a query in it, which no message then
    shows, and where the extra is missing.
    """

    def __init__(
        self, address: str, folder: Path, every: float = EVERY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self.address, self.folder = _store(address), address, folder
        self._every, self._clock, self._asked = every, clock, float("-inf")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from copying into the folder. Raises SpecError where one does."""
        writable_folder(self.folder)
        with held_now(self.folder / LOCK) as held:
            if not held:
                raise SpecError(
                    f"another process copies a bucket into '{self.folder}'; end that one, or give another --into"
                )
            yield

    def refresh(self) -> int:
        """Copy what is new; returns how many files that were.

        Raises:
            DataError: the bucket cannot be read or holds nothing of use, or single objects cannot be copied: the others
                are.
            StorageError: there is no room.
        """
        if self._clock() - self._asked < self._every:
            return 0
        self._asked, notes = self._clock(), self._notes()
        found = self._listed()
        wanted, problems = list[Mapping[str, Any]](), list[str]()
        for meta in found:
            with _told(problems):
                if self._differs(meta, notes.copied):
                    wanted.append(meta)
        require_room(writable_folder(self.folder), sum(meta["size"] for meta in wanted))
        copied = dict(notes.copied)
        for meta in wanted:
            with _told(problems):
                copied[meta["path"]] = self._copy(meta)
        if copied != notes.copied:
            with whole_file(self.folder / NOTES) as partial:
                partial.write_text(notes.model_copy(update={"copied": copied}).model_dump_json(), encoding="utf-8")
        if problems:
            more = f" (and {len(problems) - 1} more like it)" if len(problems) > 1 else ""
            raise DataError(problems[0] + more)
        return len(wanted)

    def _notes(self) -> Notes:
        """Raises SpecError for those of another bucket, FormatError for damaged ones."""
        path = self.folder / NOTES
        if not path.is_file():
            return Notes(address=self.address)
        notes = checked(Notes, read_json(path, ADVICE), path, ADVICE)
        if notes.address != self.address:
            raise SpecError(
                f"'{self.folder}' has copies of '{notes.address}', not of '{self.address}'; give another --into"
            )
        return notes

    def _listed(self) -> list[Mapping[str, Any]]:
        """Objects that are part of a folder of one's own, the table last. Empty ones mark folders in consoles."""
        import obstore

        with self._readable():
            found = [
                meta for page in obstore.list(self._store) for meta in page if meta["size"] and _is_part(meta["path"])
            ]
        if not found:
            raise DataError(f"'{self.address}' holds no images/ and no {TABLE}; name the prefix that has them below it")
        return sorted(found, key=lambda meta: (meta["path"] == TABLE, meta["path"]))

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """What the provider or the network refuses becomes one sentence."""
        from obstore.exceptions import BaseError

        try:
            yield
        except BaseError as error:
            raise DataError(
                f"'{self.address}' cannot be read ({_first_line(error)}); see that bucket, prefix, credentials, "
                "network and the names of its objects are right"
            ) from error

    def _differs(self, meta: Mapping[str, Any], copied: Mapping[str, tuple[int, int, str | None]]) -> bool:
        """Whether an object is to be copied. Raises DataError where something stands there that is no copy."""
        path, now = self._place(meta["path"]), (meta["size"], _nanoseconds(meta["last_modified"]))
        if not os.path.lexists(path):
            return True
        stat, (*before, tag) = path.lstat(), copied.get(meta["path"], (*now, meta["e_tag"]))
        if path.is_symlink() or (stat.st_size, stat.st_mtime_ns) not in (tuple(before), now):
            raise DataError(
                f"'{path}' is no copy of '{self.address}', or was changed here, and is not written over; move it away, "
                "or put it into the bucket"
            )
        return (*before, tag) != (*now, meta["e_tag"])

    def _copy(self, meta: Mapping[str, Any]) -> tuple[int, int, str | None]:
        """Copy one object, with its time; what is to be noted. A version that came meanwhile is for the next look."""
        import obstore

        path, moment = self._place(meta["path"]), _nanoseconds(meta["last_modified"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f"{path.name}.partial").unlink(missing_ok=True)
        with self._readable(), whole_file(path) as partial:
            with partial.open("wb") as file:
                for piece in obstore.get(self._store, meta["path"]).stream(min_chunk_size=PIECE):
                    file.write(piece)
            size = partial.stat().st_size
            os.utime(partial, ns=(moment, moment))
        return size, moment, meta["e_tag"]

    def _place(self, key: str) -> Path:
        """Where an object lies in the folder. Raises DataError for a name that leads out of it."""
        path = self.folder.joinpath(*key.split("/"))
        if "\0" in key or not path.parent.resolve().is_relative_to(self.folder.resolve()) or ".." in path.parts:
            raise DataError(f"the object '{key}' of '{self.address}' has no place in '{self.folder}'; rename it")
        return path


@contextmanager
def _told(problems: list[str]) -> Iterator[None]:
    """What is wrong with one object is collected, as the others can be copied."""
    try:
        yield
    except DataError as error:
        problems.append(str(error))
    except OSError as error:
        if error.filename is None:  # a full disk, which the next object meets too
            raise
        problems.append(
            f"'{error.filename}' cannot be written ({error.strerror}); rename the object or move what is there"
        )


def _is_part(key: str) -> bool:
    first, *rest = key.split("/")
    parts = [first, *rest]
    if any(part.startswith(".") or not part for part in parts) or parts[-1].endswith(".partial"):
        return False
    return first in FOLDERS if rest else first in FILES


def _store(address: str) -> ObjectStore:
    kinds = ", ".join(f"{scheme}://BUCKET/PREFIX" for scheme in SCHEMES)
    try:
        said = urlsplit(address)
        plain = said.scheme in SCHEMES and said.hostname and not ("@" in address or said.query or said.fragment)
    except ValueError:
        plain = False
    if not plain:
        raise SpecError(
            f"the address is none of a bucket, which are {kinds}, without a user, a password or options: credentials "
            "come from the environment, as the provider's own tools read them ('#' and '?' of a prefix are %23 and %3F)"
        )
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ModuleNotFoundError as error:
        raise SpecError(
            f"'{address}' is read by obstore, which is not installed; pip install 'wilss[buckets]'"
        ) from error
    try:
        return from_url(address)
    except (BaseError, ValueError) as error:
        raise SpecError(
            f"'{address}' cannot be opened ({_first_line(error)}); what the provider needs is read from the "
            "environment, such as AWS_REGION, AWS_ENDPOINT_URL or AZURE_STORAGE_ACCOUNT_NAME"
        ) from error


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def _first_line(error: Exception) -> str:
    """Of what the provider said, which may go on for pages."""
    return next((line.strip()[:LONGEST] for line in str(error).splitlines() if line.strip()), type(error).__name__)
