"""File names for what label sets are written to."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from wilss.errors import SpecError
from wilss.outputs import safe_name

LONGEST = 180
"""Bytes of a name; file systems take 255, with what is put behind it."""
FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]|^[.\-~ ]|[. ]$|^$')


def mask_names(image_ids: Sequence[str]) -> list[str]:
    """A file name without suffix for each image: its id where that is one, else what is left of it and a digest.

    No two are the same, in lower case neither.
    """
    taken: set[str] = set()
    names = []
    for image_id in image_ids:
        numbered = itertools.chain([_name(image_id)], (f"{_name(image_id)}-{k}" for k in itertools.count(2)))
        name = next(one for one in numbered if one.casefold() not in taken)
        taken.add(name.casefold())
        names.append(name)
    return names


def require_absent(folder: Path, names: Iterable[str]) -> None:
    """Raise SpecError where one of these files is there: what is written never takes the place of anything."""
    there = [name for name in names if (folder / name).exists() or (folder / name).is_symlink()]
    if there:
        raise SpecError(
            f"'{folder / there[0]}' is there already, as are {len(there)} of the files to be written; nothing was "
            "written. Choose an empty folder"
        )


def _name(image_id: str) -> str:
    try:
        size = len(image_id.encode())
    except UnicodeEncodeError:  # undecodable bytes of a file name
        size = LONGEST + 1
    if size <= LONGEST and not FORBIDDEN.search(image_id):
        return image_id
    digest = hashlib.sha256(image_id.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    kept = safe_name(image_id).encode("ascii", "replace").decode().replace("?", "_")[: LONGEST - 9].lstrip("-._")
    return f"{kept}-{digest}" if kept else digest
