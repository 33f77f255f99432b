"""Folders and files that results are written to."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from wilss.errors import SpecError


def writable_folder(folder: Path) -> Path:
    """Make a folder, with those above it, unless it is there; returns it.

    Raises SpecError where a file is in the way or nothing may be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise SpecError(f"'{folder}' cannot be written to ({error.strerror}); choose another folder") from error
    return folder


@contextmanager
def whole_file(path: Path, shared: bool = False) -> Iterator[Path]:
    """A path to write to, which takes the place of ``path`` when the block ends well: readers never meet half a file.

    Args:
        shared: other processes may write the same file at this moment, so each has a path of its own. Otherwise what a
            killed process left is written over.
    """
    partial = path.with_name(f"{path.name}.{uuid4().hex}.partial" if shared else f"{path.name}.partial")
    yield partial
    partial.replace(path)


def file_names(image_ids: Sequence[str]) -> list[str]:
    """A file name for each image; those that would overwrite each other get a number."""
    names: dict[str, None] = {}
    for name in map(safe_name, image_ids):
        numbered = itertools.chain([name], (f"{name}-{k}" for k in itertools.count(2)))
        names[next(one for one in numbered if one not in names)] = None
    return list(names)


def safe_name(image_id: str) -> str:
    """A file name for an image id that cannot leave its folder."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in image_id).lstrip(".") or "_"
