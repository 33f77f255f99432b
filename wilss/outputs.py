"""Folders that results are written to, as people name them."""

from __future__ import annotations

import tempfile
from pathlib import Path

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
