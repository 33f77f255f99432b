"""What a whole check of a folder gave, remembered until something that it looked at changes. No torch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import PIL

from wilss.data.places.place import stamp_of
from wilss.digest import digest_of
from wilss.errors import DataNotFoundError, FormatError, StorageError
from wilss.outputs import whole_file
from wilss.outside import read_json

FOLDER = "checks"
"""Below the root. It only saves time: whoever deletes it has every folder looked over once more."""
CODE = Path(__file__).parents[1]
"""What looks: another version may see something else."""


class Checked:
    """The answer to one question about folders of data.

    Args:
        root: below which answers are kept.
        asked: plain data that tell this question from others.
        places: folders and files that the answer depends on; they need not exist.
    """

    def __init__(self, root: Path, asked: Mapping[str, Any], places: Iterable[Path | None]) -> None:
        looked_at = [os.path.abspath(place) for place in places if place]  # noqa: PTH100 - links are followed below
        self._file = root / FOLDER / f"{digest_of({**asked, 'places': looked_at})}.json"
        self._state = _state_of([str(CODE), *looked_at])

    def recall(self) -> dict[str, Any] | None:
        """The answer that was kept; None where there is none, or where anything has changed since."""
        if not self._state or not self._file.is_file():
            return None
        try:
            kept = read_json(self._file, "delete it")
        except FormatError:
            return None
        if not isinstance(kept, dict) or kept.get("state") != self._state or not isinstance(kept.get("answer"), dict):
            return None
        written = kept.get("written")
        same = isinstance(written, dict) and all(_stamp(path) == stamp for path, stamp in written.items())
        return kept["answer"] if same else None

    def keep(self, answer: Mapping[str, Any], written: Iterable[str]) -> None:
        """Remember an answer. Where the disk takes no more, the question is answered anew next time.

        Args:
            written: files that belong to the answer, and have to be there when it is recalled.
        """
        if not self._state:
            return
        stamps = {path: _stamp(path) for path in written}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self._file, shared=True) as partial:
                partial.write_text(json.dumps({"state": self._state, "written": stamps, "answer": answer}))
        except (StorageError, OSError):
            return


def _state_of(places: Iterable[str]) -> str:
    """Digest of the stamps of all files; "" while one of them may change without another stamp."""
    digest = hashlib.sha256(PIL.__version__.encode())
    for place in places:
        for path in _files(place, set()):
            try:
                stamp, settled = stamp_of(path)
            except DataNotFoundError:  # a link without target, or no such place
                stamp, settled = "none", True
            if not settled:
                return ""
            digest.update(f"{path}\0{stamp}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _files(place: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    """Whatever is no folder below a place, links followed, each folder once; or the place itself."""
    try:
        facts = Path(place).stat()
        with os.scandir(place) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        yield place
        return
    if (facts.st_dev, facts.st_ino) in seen:
        return
    seen.add((facts.st_dev, facts.st_ino))
    yield f"{place}{os.sep}"
    for entry in listed:
        if entry.is_dir():
            yield from _files(entry.path, seen)
        elif not entry.name.endswith(".pyc"):
            yield entry.path


def _stamp(path: str) -> str:
    try:
        return stamp_of(path)[0]
    except DataNotFoundError:
        return ""
