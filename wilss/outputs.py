"""Folders and files that results are written to."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
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
