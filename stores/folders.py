"""Where the artefacts of a root count: in its folder, or in the bucket whose working root the folder is.

The one place in which that is decided. A plain root does nothing here; `wilss.bucket.remote` tells a bucket's objects.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from stores.leases import leased, require_writable
from wilss.bucket.remote import FILES, Remote, commit_key, file_key, remote_of
from wilss.damage import FileMark, Marks, mark_of, marks_in
from wilss.errors import DamagedArtefactError
from wilss.layout import MANIFEST, QUARANTINE
from wilss.outside import checked, parse_json

PARTS = "parts"
Held = AbstractContextManager[object]
SIDE_BY_SIDE = 8
"""Files that are written into a bucket at once."""


class Folders(Protocol):
    """What differs between a plain root and the working root of a bucket."""

    @property
    def is_shared(self) -> bool:
        """Whether other machines make artefacts of this root, too."""
        ...

    def look(self, kind: str, digest: str) -> bool:
        """Look for an artefact that the folder lacks; whether it has it now."""
        ...

    def use(self, kind: str, digest: str) -> None:
        """Keep what is at hand of an artefact as long as this process lives."""
        ...

    def leased(self, name: str, on_wait: Callable[[], None] | None, once: bool = True) -> Held:
        """Be the only machine that makes something; locks keep processes of this one apart."""
        ...

    def commit(self, kind: str, digest: str, staging: Path, marks: Marks, replaces: bool) -> bool:
        """Let an artefact count, whose files and manifest lie in its staging folder; False where another one does."""
        ...

    def recommit(self, kind: str, digest: str, folder: Path) -> None:
        """The same for one that was mended where it lies."""
        ...

    def uncommit(self, kind: str, digest: str) -> None:
        """Let a damaged artefact count no more."""
        ...

    def heal(self, folder: Path) -> bool:
        """Take damaged files anew from where they are whole; whether nothing is damaged then."""
        ...

    def offer(self, kind: str, digest: str, part: str, staging: Path, names: Sequence[str]) -> None:
        """Let others have the files of a part that is done."""
        ...

    def take(self, kind: str, digest: str, part: str, staging: Path) -> None:
        """Have the files of a part that others have done, in their order."""
        ...

    def clear_parts(self, kind: str, digest: str) -> None:
        """Take back all parts: the artefact is made from its beginning."""
        ...

    def order(self, count: int) -> list[int]:
        """In which order this process makes that many parts."""
        ...


class PlainFolders:
    """A root on a disk: folders are what counts, and a rename is the commit."""

    is_shared = False

    def look(self, kind: str, digest: str) -> bool:
        """See `Folders.look`."""
        return False

    def use(self, kind: str, digest: str) -> None:
        """See `Folders.use`."""

    def leased(self, name: str, on_wait: Callable[[], None] | None, once: bool = True) -> Held:
        """See `Folders.leased`."""
        return nullcontext()

    def commit(self, kind: str, digest: str, staging: Path, marks: Marks, replaces: bool) -> bool:
        """See `Folders.commit`."""
        return True

    def recommit(self, kind: str, digest: str, folder: Path) -> None:
        """See `Folders.recommit`."""

    def uncommit(self, kind: str, digest: str) -> None:
        """See `Folders.uncommit`."""

    def heal(self, folder: Path) -> bool:
        """See `Folders.heal`."""
        return False

    def offer(self, kind: str, digest: str, part: str, staging: Path, names: Sequence[str]) -> None:
        """See `Folders.offer`."""

    def take(self, kind: str, digest: str, part: str, staging: Path) -> None:
        """See `Folders.take`."""

    def clear_parts(self, kind: str, digest: str) -> None:
        """See `Folders.clear_parts`."""

    def order(self, count: int) -> list[int]:
        """See `Folders.order`."""
        return list(range(count))


class _Part(BaseModel):
    """Files of a part that is done, in the order in which they were written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: dict[str, FileMark]


class BucketFolders:
    """A root in a bucket: manifests there are what counts, and one is put only where none is."""

    is_shared = True

    def __init__(self, remote: Remote) -> None:
        self._remote, self._client = remote, remote.client

    def look(self, kind: str, digest: str) -> bool:
        """See `Folders.look`."""
        return self._remote.look(kind, digest)

    def use(self, kind: str, digest: str) -> None:
        """See `Folders.use`."""
        self._remote.cache.use(kind, digest)

    def leased(self, name: str, on_wait: Callable[[], None] | None, once: bool = True) -> Held:
        """See `Folders.leased`."""
        require_writable(self._remote)
        return leased(self._client, name, on_wait, once)

    def commit(self, kind: str, digest: str, staging: Path, marks: Marks, replaces: bool) -> bool:
        """See `Folders.commit`."""
        key, content = commit_key(kind, digest), (staging / MANIFEST).read_bytes()
        before = self._client.get(key)
        if before and (before[0] == content or not replaces):
            return before[0] == content  # this very one: its process was killed before it knew
        offered = self._client.list(f"{PARTS}/{kind}/{digest}")  # parts that are done have their files there
        there = {held.key for held in self._client.list(f"{FILES}/{kind}/{digest}")} if offered else set()
        self._upload(kind, digest, staging, marks, there)
        tag = self._client.put_over(key, content, before[1]) if before else self._client.put_new(key, content)
        if tag:
            self.clear_parts(kind, digest)
        return tag is not None

    def _upload(self, kind: str, digest: str, folder: Path, marks: Marks, there: Collection[str] = ()) -> None:
        """Write files into the bucket, but for objects that are there and known to be whole."""
        wanted = {file_key(kind, digest, name, mark): folder / name for name, mark in marks.items()}
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            jobs = [pool.submit(self._client.put, key, path) for key, path in wanted.items() if key not in there]
            for job in jobs:
                job.result()

    def recommit(self, kind: str, digest: str, folder: Path) -> None:
        """See `Folders.recommit`."""
        key, before = commit_key(kind, digest), self._client.get(commit_key(kind, digest))
        content = (folder / MANIFEST).read_bytes()
        self._upload(kind, digest, folder, marks_in(folder))
        tag = self._client.put_over(key, content, before[1]) if before else self._client.put_new(key, content)
        if tag is None:
            self._remote.look(kind, digest)
        else:
            self._remote.accept(kind, digest, content, tag)

    def uncommit(self, kind: str, digest: str) -> None:
        """See `Folders.uncommit`."""
        key = commit_key(kind, digest)
        if there := self._client.get(key):
            moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
            self._client.put(f"{QUARANTINE}/{kind}/{digest}-{moment}.json", there[0])
            self._client.delete(key)
        self.clear_parts(kind, digest)
        self._remote.disown(kind, digest)

    def heal(self, folder: Path) -> bool:
        """See `Folders.heal`."""
        try:
            return self._remote.heal(folder)
        except DamagedArtefactError:  # its manifest is
            return False

    def offer(self, kind: str, digest: str, part: str, staging: Path, names: Sequence[str]) -> None:
        """See `Folders.offer`."""
        marks = {name: mark_of(staging / name) for name in names}
        self._upload(kind, digest, staging, marks)
        self._client.put_new(_part_key(kind, digest, part), _Part(files=marks).model_dump_json().encode())

    def take(self, kind: str, digest: str, part: str, staging: Path) -> None:
        """See `Folders.take`."""
        key = _part_key(kind, digest, part)
        if (found := self._client.get(key)) is None:
            return
        path = Path(key)
        done = checked(_Part, parse_json(found[0].decode("utf-8", "replace"), str(path), ""), path, "run again")
        for name, mark in done.files.items():
            target = staging / name
            if not target.resolve().is_relative_to(staging.resolve()):
                return
            target.parent.mkdir(parents=True, exist_ok=True)
            if not self._client.download(file_key(kind, digest, name, mark), mark, target):
                self._client.delete(key)  # not what was offered: made again
                return

    def order(self, count: int) -> list[int]:
        """See `Folders.order`: each machine begins somewhere else, so that they seldom want the same one."""
        start = random.randrange(count) if count else 0
        return [*range(start, count), *range(start)]

    def clear_parts(self, kind: str, digest: str) -> None:
        """See `Folders.clear_parts`."""
        self._client.delete(*(held.key for held in self._client.list(f"{PARTS}/{kind}/{digest}")))


def folders_of(root: Path) -> Folders:
    """What counts in a root."""
    remote = remote_of(root)
    return PlainFolders() if remote is None else BucketFolders(remote)


def _part_key(kind: str, digest: str, part: str) -> str:
    return f"{PARTS}/{kind}/{digest}/{part.replace(' ', '-')}.json"
