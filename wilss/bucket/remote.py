"""What a bucket has, in its working root: manifests and documents at once, files of artefacts when they are opened.

Objects below the address:

    wilss.json                                      that it is a root
    commits/<kind>/<digest>.json                    the manifest of an artefact, and its commit
    files/<kind>/<digest>/<path>@<checksum>         its files; builders that differ do not meet
    parts/<kind>/<digest>/<part>.json               what is done of an artefact that is being made
    documents/<path>  logs/<path>                   reports and notes; files of sealed lines
    leases/...  in-use/...                          who makes what, and who is there
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock

from wilss.bucket.address import OWN, Marker, escaped, marker_of
from wilss.bucket.cache import Cache
from wilss.bucket.client import Client
from wilss.bucket.documents import Documents
from wilss.bucket.notes import Notes
from wilss.damage import FileMark, damaged, marks_in, place_of, require_file
from wilss.errors import DamagedArtefactError
from wilss.layout import KINDS, MANIFEST, artefact_folder
from wilss.outputs import whole_file

COMMITS, FILES = "commits", "files"
SIDE_BY_SIDE = 16
"""Requests that are made at once."""
FRESH = 2.0
"""Seconds in which what is there is not asked for once more."""
GONE = ".bucket-gone"


class Remote:
    """The bucket of a working root. Raises BucketError for what the bucket refuses.

    client: its objects. cache: what the working root holds of their files. documents: reports and notes. is_writable:
    somebody looked whether it can be written as a root needs it.
    """

    is_writable = False

    def __init__(self, root: Path, marker: Marker) -> None:
        self.root, self.client = root, Client(marker)
        self.cache = Cache(root)
        self.documents = Documents(root, self.client)
        self._commits = Notes(root / OWN / "commits.json")
        self._lock, self._file = threading.RLock(), FileLock(root / OWN / "sync.lock")
        self._pulled = float("-inf")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep threads and other processes of this machine from changing what is known of the bucket."""
        with self._lock, self._file:
            yield

    def pull(self, again: bool = False) -> None:
        """Bring all manifests, documents and journals, unless that was done just now.

        Args:
            again: although it was.
        """
        from wilss.bucket.logs import pull_logs

        if not again and time.monotonic() - self._pulled < FRESH:
            return
        with self.alone():
            known, listed = self._commits.read(), {}
            for held in self.client.list(COMMITS):
                if name := _named(held.key):
                    listed[name] = held.tag
            there = {name for name in listed if (self._folder(name) / MANIFEST).is_file()}
            self._bring_all([name for name, tag in listed.items() if known.get(name) != tag or name not in there])
            for name in known.keys() - listed.keys():
                self._forget(name)
            self.documents.pull()
            pull_logs(self)
            self._pulled = time.monotonic()

    def _bring_all(self, names: Sequence[str]) -> None:
        """Bring manifests, several at once; what is known of them is noted now and then."""
        for start in range(0, len(names), 1000):
            some = names[start : start + 1000]
            with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
                found = list(pool.map(lambda name: self.commit_of(*name.split("/")), some))
            tags = {}
            for name, one in zip(some, found, strict=True):
                if one:
                    self._stand(name, one[0])
                    tags[name] = one[1]
            self._commits.note(tags)

    def look(self, kind: str, digest: str) -> bool:
        """Bring one manifest, whatever was known of it; whether the bucket has it."""
        with self.alone():
            return self._bring(kind, digest)

    def commit_of(self, kind: str, digest: str) -> tuple[bytes, str] | None:
        """The manifest as the bucket has it now, and its tag."""
        return self.client.get(commit_key(kind, digest))

    def _bring(self, kind: str, digest: str) -> bool:
        name, found = f"{kind}/{digest}", self.commit_of(kind, digest)
        if found is None:
            self._forget(name)
            return False
        self.accept(kind, digest, *found)
        return True

    def accept(self, kind: str, digest: str, content: bytes, tag: str) -> None:
        """Let a manifest stand in the working root; files that belonged to another one go.

        One that is damaged stands too: whoever reads it says so, as in a plain root.
        """
        with self.alone():
            self._stand(f"{kind}/{digest}", content)
            self._commits.note({f"{kind}/{digest}": tag})

    def _stand(self, name: str, content: bytes) -> None:
        path = (folder := self._folder(name)) / MANIFEST
        if not path.is_file() or path.read_bytes() != content:
            _leave(folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path, shared=True) as partial:
                partial.write_bytes(content)

    def _forget(self, name: str) -> None:
        """What left the bucket leaves the working root."""
        if name in self._commits.read():
            _leave(self._folder(name))
            self._commits.note({name: None})

    def disown(self, kind: str, digest: str) -> None:
        """Know no more that the bucket had an artefact; its folder stays."""
        with self.alone():
            self._commits.note({f"{kind}/{digest}": None})

    def _folder(self, name: str) -> Path:
        kind, digest = name.split("/")
        return artefact_folder(self.root, kind, digest)  # type: ignore[arg-type]

    def knows(self, kind: str, digest: str) -> bool:
        """Whether the bucket had this artefact when it was last asked."""
        return f"{kind}/{digest}" in self._commits.read()

    def fetch(self, folder: Path, name: str, mark: FileMark) -> None:
        """Bring one file of an artefact. Raises DamagedArtefactError where the bucket has it no more, or not so."""
        place = place_of(folder)
        if place is None:
            return
        self.cache.use(place.kind, place.digest)
        path = folder / name
        if path.is_file() and path.stat().st_size == mark.bytes:
            return
        self.cache.make_room(mark.bytes)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not self.client.download(file_key(place.kind, place.digest, name, mark), mark, path):
            raise damaged(folder, name, f"'{self.client.address}' has it no more, or not as it was written")

    def fetch_all(self, folder: Path, marks: Mapping[str, FileMark]) -> None:
        """Bring every file of an artefact that is not there, several at once. Raises as `fetch`."""
        missing = [(name, mark) for name, mark in marks.items() if not (folder / name).is_file()]
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for done in [pool.submit(self.fetch, folder, name, mark) for name, mark in missing]:
                done.result()

    def heal(self, folder: Path) -> bool:
        """Bring anew what is damaged in the working root; whether that was all that is wrong."""
        place = place_of(folder)
        if place is None or not self.look(place.kind, place.digest):
            return False
        marks = marks_in(folder)
        for name in marks:
            try:
                require_file(folder, marks, name)
            except DamagedArtefactError:
                _remove(folder / name)
                try:
                    self.fetch(folder, name, marks[name])
                except DamagedArtefactError:
                    return False
        return True


def commit_key(kind: str, digest: str) -> str:
    """Name of the object that is the commit of an artefact."""
    return f"{COMMITS}/{kind}/{digest}.json"


def file_key(kind: str, digest: str, name: str, mark: FileMark) -> str:
    """Name of the object of a file."""
    return f"{FILES}/{kind}/{digest}/{escaped(name)}@{mark.checksum}"


_OPEN: dict[Path, Remote] = {}
_OPENING = threading.Lock()


def remote_of(root: Path) -> Remote | None:
    """The bucket of a working root; None for a plain folder. One connection a process."""
    if not os.path.exists(f"{root}/{OWN}/bucket.json"):  # noqa: PTH110 - asked often
        return None
    with _OPENING:
        if root not in _OPEN and (marker := marker_of(root)):
            _OPEN[root] = Remote(root, marker)
        return _OPEN.get(root)


def remote_above(folder: Path) -> Remote | None:
    """The bucket of the working root that a folder of aliases or of a review lies in."""
    return remote_of(folder.parent) or remote_of(folder.parent.parent)


def share(folder: Path) -> None:
    """Bring what was written in a review's folder to the bucket, where the root is one."""
    if remote := remote_above(folder):
        with remote.alone():
            remote.documents.push(folder.relative_to(remote.root).as_posix())


def push_all() -> None:
    """Bring to their buckets what this process and others changed of reports and notes."""
    for remote in list(_OPEN.values()):
        with remote.alone():
            remote.documents.push()


def _named(key: str) -> str:
    """Kind and digest of a commit, "" for what is none."""
    _, _, rest = key.partition("/")
    kind, _, file = rest.partition("/")
    digest = file.removesuffix(".json")
    return f"{kind}/{digest}" if kind in KINDS and digest.isalnum() and file.endswith(".json") else ""


def _leave(folder: Path) -> None:
    """Remove a folder at once, so that nobody meets half of it."""
    if folder.exists():
        gone = folder.with_name(f"{GONE}-{uuid4().hex}")
        folder.replace(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
