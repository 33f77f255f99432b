"""Reports, records and notes of a root: small files that lie in its folders and in its bucket, under the same names.

The later writer of one counts, as with two processes on one disk. Journals are not among them; see `wilss.bucket.logs`.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from wilss.bucket.address import OWN, escaped, unescaped
from wilss.bucket.client import Client, Held
from wilss.bucket.notes import Notes
from wilss.outputs import whole_file

DOCUMENTS = "documents"
FOLDERS = ("runs", "fewshot", "comparisons", "gates", "guards", "learnt-from", "reviews")
"""Folders of a root whose files are shared; all others are this machine's own."""
OMITTED = (".partial", ".lock", ".pid")
JOURNAL = "acts.jsonl"
SIDE_BY_SIDE = 8
"""Requests that are made at once."""


class Documents:
    """The documents of a working root. Who calls `pull` and `push` must be alone on this machine."""

    def __init__(self, root: Path, client: Client) -> None:
        self._root, self._client = root, client
        self._notes = Notes(root / OWN / "documents.json")

    def pull(self, below: str = "") -> None:
        """Bring what is new in the bucket or missing here; what was changed here stays, and what left the bucket goes.

        Args:
            below: of which folder only, such as ``reviews/DIGEST``.
        """
        known, listed = self._notes.read(), dict[str, Held]()
        for held in self._client.list(f"{DOCUMENTS}/{escaped(below)}" if below else DOCUMENTS):
            if name := _name_of(held.key):
                listed[name] = held
        wanted = [name for name, held in listed.items() if self._is_wanted(name, known.get(name), held.tag)]
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            news: dict[str, Any] = dict(zip(wanted, pool.map(lambda n: self._bring(n, listed[n]), wanted), strict=True))
        for name in known.keys() - listed.keys():
            if name.startswith(f"{below}/" if below else "") and not self._is_changed(name, known[name]):
                self._path(name).unlink(missing_ok=True)
                news[name] = None
        self._notes.note(news)

    def _is_wanted(self, name: str, before: Any, tag: str) -> bool:
        if not self._path(name).is_file():
            return True
        return (not before or before[2] != tag) and not self._is_changed(name, before)

    def push(self, below: str = "") -> None:
        """Bring what is new here to the bucket. What is missing here stays there: see `drop`."""
        known, news = self._notes.read(), dict[str, Any]()
        for path in self._files(below):
            name = path.relative_to(self._root).as_posix()
            if self._is_changed(name, known.get(name)):
                facts = path.stat()
                tag = self._client.put(f"{DOCUMENTS}/{escaped(name)}", path.read_bytes())
                news[name] = [facts.st_size, facts.st_mtime_ns, tag]
        self._notes.note(news)

    def drop(self, path: Path) -> None:
        """Take a document from the bucket, which was taken from the working root."""
        name = path.relative_to(self._root).as_posix()
        self._client.delete(f"{DOCUMENTS}/{escaped(name)}")
        self._notes.note({name: None})

    def _bring(self, name: str, held: Held) -> list[Any] | None:
        found = self._client.get(held.key)
        if found is None:
            return None
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, shared=True) as partial:
            partial.write_bytes(found[0])
        facts = path.stat()
        return [facts.st_size, facts.st_mtime_ns, found[1]]

    def _is_changed(self, name: str, before: Any) -> bool:
        """Whether a file is another one than was last brought or given; one that is not there is not."""
        try:
            facts = self._path(name).stat()
        except OSError:
            return False
        return not before or [facts.st_size, facts.st_mtime_ns] != list(before[:2])

    def _path(self, name: str) -> Path:
        return self._root.joinpath(*name.split("/"))

    def _files(self, below: str) -> Iterator[Path]:
        for folder in [below] if below else FOLDERS:
            for path in sorted((self._root / folder).rglob("*")):
                if path.is_file() and not path.is_symlink() and _is_shared(path.relative_to(self._root).as_posix()):
                    yield path


def _name_of(key: str) -> str:
    """Path below the root of an object, "" for what has no place there."""
    name = unescaped(key.removeprefix(f"{DOCUMENTS}/"))
    parts = PurePosixPath(name).parts
    plain = all(part not in ("..", ".", "/") and "\0" not in part and "\\" not in part for part in parts)
    return name if plain and parts and "/".join(parts) == name and _is_shared(name) else ""


def _is_shared(name: str) -> bool:
    folder, _, rest = name.partition("/")
    last = name.rpartition("/")[2]
    hidden = any(part.startswith(".") for part in name.split("/"))
    return folder in FOLDERS and bool(rest) and not hidden and last != JOURNAL and not last.endswith(OMITTED)
