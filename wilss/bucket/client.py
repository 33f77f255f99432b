"""Requests to a bucket: repeated where that helps, with what comes looked at, and refusals as one sentence.

What a server answers is never passed on whole: it may name the key that was used.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from wilss.bucket.address import ROOT, Marker, Use
from wilss.bucket.connection import connect
from wilss.bucket.refusals import BEYOND, is_lasting, reason_of, told
from wilss.damage import FileMark
from wilss.errors import BucketError
from wilss.outputs import whole_file

T = TypeVar("T")
TRIES = 6
"""How often a request is made that fails for no lasting reason; obstore repeats each of them itself, where it may."""
PIECE = 8 << 20
"""Bytes of a file that are asked for at once: what is cut is asked for again, and no more than this is held."""


class Held(NamedTuple):
    """An object: its name below the root, its size, and the tag of this version."""

    key: str
    bytes: int
    tag: str


class Client:
    """The objects below one address. Raises BucketError for whatever the bucket refuses and repeating does not mend.

    Keys are written with slashes and lie below the prefix.
    """

    def __init__(self, marker: Marker, use: Use = ROOT) -> None:
        self.address, self._use = marker.address, use
        self._store = connect(marker, use)

    def get(self, key: str, known: str = "") -> tuple[bytes, str] | None:
        """Content and tag; None for an object that is not there, or is as it was with a known tag."""
        import obstore
        from obstore.exceptions import NotModifiedError

        def ask() -> tuple[bytes, str] | None:
            try:
                found = obstore.get(self._store, key, options={"if_none_match": known} if known else None)
                content = bytes(found.bytes())
            except (FileNotFoundError, NotModifiedError):
                return None
            if len(content) != found.meta["size"]:
                raise _CutError
            return content, str(found.meta["e_tag"])

        found = self._again("read", ask)
        if found is None and not known:
            self._require_bucket()
        return found

    def put(self, key: str, content: bytes | Path) -> str:
        """Write an object whatever was there; its tag."""
        import obstore

        return self._again("write", lambda: str(obstore.put(self._store, key, content)["e_tag"]))

    def put_new(self, key: str, content: bytes) -> str | None:
        """Write an object unless there is one, at once; its tag, or None where there was another one.

        An answer may be lost: where just this content stands, it is ours.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        def ask() -> str | None:
            try:
                return str(obstore.put(self._store, key, content, mode="create", use_multipart=False)["e_tag"])
            except (AlreadyExistsError, PreconditionError):
                return self._is_ours(key, content)

        return self._again("write", ask)

    def put_over(self, key: str, content: bytes, tag: str) -> str | None:
        """Write an object in the place of just that version; its tag, or None where another version stands."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        def ask() -> str | None:
            try:
                return str(obstore.put(self._store, key, content, mode={"e_tag": tag}, use_multipart=False)["e_tag"])
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                return self._is_ours(key, content)

        return self._again("write", ask)

    def _is_ours(self, key: str, content: bytes) -> str | None:
        there = self.get(key)
        return there[1] if there and there[0] == content else None

    def download(self, key: str, mark: FileMark, path: Path) -> bool:
        """Bring an object to a file, which is there whole and with this mark, or not at all; whether it was so.

        False where the bucket has no such object, or one that holds something else every time.
        """
        for _ in range(2):
            with _left_out(), whole_file(path, shared=True) as partial:
                if self._copied(key, mark, partial):
                    return True
                raise _NotAsMarkedError
        return False

    def _copied(self, key: str, mark: FileMark, partial: Path) -> bool:
        digest = hashlib.sha256()
        with partial.open("wb") as handle:
            for start in range(0, mark.bytes, PIECE):
                piece = self._piece(key, start, min(start + PIECE, mark.bytes))
                digest.update(piece)
                handle.write(piece)
        return digest.hexdigest()[:32] == mark.checksum

    def _piece(self, key: str, start: int, end: int) -> bytes:
        """A part of an object; less where it is shorter, or not there. What is cut on its way is asked for again."""
        import obstore
        from obstore.exceptions import GenericError

        def ask() -> bytes:
            try:
                return bytes(obstore.get_range(self._store, key, start=start, end=end))
            except FileNotFoundError:
                return b""
            except GenericError as error:
                if reason_of(error) in BEYOND:
                    return b""
                raise

        return self._again("read", ask)

    def part(self, held: Held, start: int, end: int) -> bytes | None:
        """Bytes of a listed object; None where it is gone, or another version stands there."""
        import obstore

        def ask() -> bytes | None:
            try:
                found = obstore.get(self._store, held.key, options={"range": (start, end)})
                content = bytes(found.bytes())
            except FileNotFoundError:
                return None
            if (str(found.meta["e_tag"]), found.meta["size"]) != (held.tag, held.bytes):
                return None
            if len(content) != end - start:
                raise _CutError
            return content

        return self._again("read", ask)

    def list(self, prefix: str) -> list[Held]:
        """Objects below a prefix, by name."""
        import obstore

        def ask() -> list[Held]:
            pages = obstore.list(self._store, prefix, chunk_size=1000)
            return [Held(meta["path"], meta["size"], str(meta["e_tag"])) for page in pages for meta in page]

        return sorted(self._again("list", ask))

    def delete(self, *keys: str) -> None:
        """Remove objects; those that are gone are passed over."""
        import obstore

        def ask() -> None:
            try:
                obstore.delete(self._store, list(keys))
            except FileNotFoundError:  # of a single one; several are asked for at once
                return

        if keys:
            self._again("delete from", ask)

    def _require_bucket(self) -> None:
        """A bucket that is not there has no objects, either: told apart once."""
        if not getattr(self, "_was_there", False):
            self.list("wilss.json")
            self._was_there = True

    def _again(self, verb: str, ask: Callable[[], T]) -> T:
        """What a request gives; made again, later and later, where it failed for no lasting reason."""
        from obstore.exceptions import BaseError, GenericError

        for attempt in range(TRIES):
            try:
                return ask()
            except (GenericError, _CutError) as error:
                if attempt == TRIES - 1 or is_lasting(error):
                    raise BucketError(told(self.address, verb, error, self._use)) from None
                time.sleep(0.05 * 2**attempt)
            except (BaseError, FileNotFoundError, ValueError) as error:
                raise BucketError(told(self.address, verb, error, self._use)) from None
        raise AssertionError  # pragma: no cover


class _CutError(Exception):
    """An answer that is shorter than it says."""


class _NotAsMarkedError(Exception):
    """A file that came and is not what it should be."""


@contextmanager
def _left_out() -> Iterator[None]:
    """A file that is not as marked is not kept."""
    try:
        yield
    except _NotAsMarkedError:
        return
