"""Where artefacts lie under a root folder; one rule for the store and for scripts that load from it. No torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, get_args

from wilss.errors import ArtefactNotFoundError

Kind = Literal["labels", "banks", "checkpoints", "evaluations", "episodes", "heads"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MANIFEST = "manifest.json"
"""The commit of an artefact: a folder without one is none."""
CONFIG = "config.json"
"""Of a model folder, which lies outside of stores."""
QUARANTINE = "quarantine"
"""Folder of what was damaged, below the root: ``quarantine/<kind>/<digest>-<time>``."""
INSPECTOR = "inspector"
"""Folder of what the inspector has made to look at, below the root: a cache, which may go at any time."""
AGAIN = "delete its folder and run again"
"""What to do about an artefact that is damaged."""


def default_root() -> Path:
    """``WILSS_ROOT``, else ``./wilss-data``; see `root_folder`."""
    return root_folder(os.environ.get("WILSS_ROOT") or "wilss-data")


def root_folder(place: str | Path) -> Path:
    """The folder of a root: the same, or for ``s3://BUCKET/PREFIX`` the local one that stands for it.

    Raises SpecError for another address, BucketError for a bucket that cannot be read.
    """
    if ":/" not in str(place):
        return Path(place)
    from wilss.bucket.address import is_address

    if not is_address(place):
        return Path(place)
    from wilss.bucket.roots import open_root

    return open_root(place)


def whole(place: Path) -> Path:
    """A folder or file as another working folder names it alike; the address of a bucket is whole as it is."""
    from wilss.bucket.address import as_named, is_address

    return as_named(place) if is_address(place) else place.resolve()


def artefact_folder(root: Path, kind: Kind, digest: str) -> Path:
    """Folder of an artefact, which need not exist."""
    return root / kind / digest[:2] / digest


def is_published(root: Path, kind: Kind, digest: str) -> bool:
    """Whether there is such an artefact, sound or not; it is looked for in the bucket, where the root is one."""
    if artefact_folder(root, kind, digest).is_dir():
        return True
    from wilss.bucket.remote import remote_of

    remote = remote_of(root)
    return remote is not None and remote.look(kind, digest)


def cache_folder(root: Path) -> Path:
    """Folder of what the inspector keeps; everything in it can be made again."""
    return root / INSPECTOR


def published(root: Path, kind: Kind, beginning: str = "") -> list[Path]:
    """Folders of the artefacts of a kind whose digest begins so; some may be damaged, none is empty."""
    return sorted(path for path in (root / kind).glob(f"{beginning[:2]:?<2}/{beginning}*") if any(path.glob("*")))


def find_artefact(root: Path, kind: Kind, digest: str) -> Path:
    """Folder of a complete artefact by its digest, or by the first digits of it.

    Raises ArtefactNotFoundError when none or several match.
    """
    found = published(root, kind, digest) if digest.isalnum() else []
    if len(found) != 1:
        problem = "is ambiguous" if found else "does not exist"
        known = ", ".join(folder.name[:12] for folder in found or published(root, kind)) or "none"
        raise ArtefactNotFoundError(f"'{digest}' {problem} among the {kind} in '{root}'; there: {known}")
    return found[0]
