"""Files of sealed lines in a bucket: one object each, written over by whoever saw its last version.

The working root has a copy, which grows as the object does. Who appends writes the object first, so that the copy never
has a line that the bucket has not.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from wilss.bucket.address import OWN
from wilss.bucket.notes import Notes
from wilss.bucket.remote import Remote
from wilss.errors import BucketError
from wilss.outputs import whole_file

LOGS = "logs"
NAMED = re.compile(r"aliases/moves\.jsonl|reviews/[0-9A-Za-z]{1,64}/acts\.jsonl")
"""Journals of a root; nothing else has a place there."""
FRESH = 1.0
"""Seconds in which a reader does not ask again."""
_ASKED: dict[Path, float] = {}


def refresh(remote: Remote, path: Path, again: bool = False) -> None:
    """Let the copy be what the bucket has.

    Args:
        again: although somebody asked just now; who writes has to know.
    """
    if not again and time.monotonic() - _ASKED.get(path, float("-inf")) < FRESH:
        return
    with remote.alone():
        tags = _tags(remote)
        name = path.relative_to(remote.root).as_posix()
        found = remote.client.get(_key(name), _tag(tags, name, path))
        if found:
            _take(path, found[0])
            tags.note({name: [found[1], len(found[0])]})
            if name.startswith("reviews/"):
                remote.documents.pull(path.parent.relative_to(remote.root).as_posix())
        _ASKED[path] = time.monotonic()


def pull_logs(remote: Remote) -> None:
    """Let every copy be what the bucket has. Who asks is alone."""
    tags = _tags(remote)
    for held in remote.client.list(LOGS):
        name = held.key.removeprefix(f"{LOGS}/")
        if not NAMED.fullmatch(name):
            continue
        path = remote.root / name
        if _tag(tags, name, path) != held.tag and (found := remote.client.get(held.key)):
            _take(path, found[0])
            tags.note({name: [found[1], len(found[0])]})


def append(remote: Remote, path: Path, read: int, line: bytes) -> None:
    """Write a line behind the first ``read`` bytes of the copy, which is as `refresh` left it, into the bucket.

    Raises BucketError where somebody wrote meanwhile; then nothing is written.
    """
    with remote.alone():
        tags, name = _tags(remote), path.relative_to(remote.root).as_posix()
        if name.startswith("reviews/"):
            remote.documents.push(
                path.parent.relative_to(remote.root).as_posix()
            )  # painted masks, before they are named
        content = (path.read_bytes()[:read] if read else b"") + line
        tag = (tags.read().get(name) or [""])[0] if read else ""
        written = (
            remote.client.put_over(_key(name), content, tag) if tag else remote.client.put_new(_key(name), content)
        )
        if written is None:
            _ASKED.pop(path, None)
            raise BucketError(
                f"another machine wrote to '{name}' of '{remote.client.address}' at this moment; nothing was written: "
                "look at it again, then decide"
            )
        tags.note({name: [written, len(content)]})


def replace(remote: Remote, path: Path) -> None:
    """Let the bucket have what the file is now: it was mended."""
    with remote.alone():
        name = path.relative_to(remote.root).as_posix()
        content = path.read_bytes()
        _tags(remote).note({name: [remote.client.put(_key(name), content), len(content)]})


def _take(path: Path, content: bytes) -> None:
    """Let a file grow to what its object holds, or take its place where it is another one."""
    there = path.read_bytes() if path.is_file() else b""
    if there and content.startswith(there):
        with path.open("r+b") as handle:
            handle.seek(len(there))
            handle.write(content[len(there) :])
    elif there != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, shared=True) as partial:
            partial.write_bytes(content)


def _tag(tags: Notes, name: str, path: Path) -> str:
    """Of the version that the copy is, "" where it is none."""
    tag, size = tags.read().get(name) or ("", 0)
    return tag if path.is_file() and path.stat().st_size == size else ""


def _tags(remote: Remote) -> Notes:
    return Notes(remote.root / OWN / "logs.json")


def _key(name: str) -> str:
    return f"{LOGS}/{name}"
