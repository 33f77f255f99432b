"""Whether stored files are what was stored: an artefact's manifest lists every file, and holds a seal of itself.

One reader for whatever lies in an artefact's folder. A folder without a manifest, which a script wrote or somebody
handed over, and artefacts of format 1 list no files: they are read as they are. Imports no torch.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from wilss.digest import canonical_json
from wilss.errors import DamagedArtefactError, FormatError
from wilss.layout import KINDS, MANIFEST, default_root
from wilss.outputs import flush
from wilss.outside import JSON_BYTES, checked, read_json

SEALED = 2
"""First format of manifests that list files and hold a seal."""
MEND = "make it anew: run again"
"""Ends what `wilss.outside` says of a stored file; `reading` puts the artefact's own advice in its place."""

M = TypeVar("M", bound=BaseModel)


class FileMark(BaseModel):
    """Size and checksum of a file: the first 32 hexadecimal digits of its SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: Annotated[int, Field(ge=0)]
    checksum: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


Marks = Mapping[str, FileMark]
"""Path below an artefact's folder, with slashes -> its mark."""


class Place(NamedTuple):
    """Where an artefact lies in a store."""

    root: Path
    kind: str
    digest: str


def place_of(folder: Path) -> Place | None:
    """The place of an artefact's folder; None for a folder outside of a store."""
    full = folder.absolute()
    kind = full.parent.parent
    inside = kind.name in KINDS and full.name.isalnum() and full.parent.name == full.name[:2]
    return Place(kind.parent, kind.name, full.name) if inside else None


def damaged(folder: Path, name: str, reason: object) -> DamagedArtefactError:
    """The error that names the artefact, its file, what is wrong with it, and the command that mends it."""
    fault = f"'{folder / name}' is damaged"
    said = " ".join(str(reason).split()).removeprefix(fault).removesuffix(f"; {MEND}").strip()[:400]
    told = said if said.startswith(":") else f" {said}" if said.startswith("(") else f" ({said})"
    return DamagedArtefactError(f"{fault}{told}; {advice(folder)}", folder, name)


def advice(folder: Path) -> str:
    """What to do about a damaged artefact."""
    place = place_of(folder)
    if place is None:
        return "take its folder anew, or delete it and run again"
    root = "" if place.root == default_root().absolute() else f" --root {place.root}"
    return f"mend {place.kind} {place.digest[:12]} with 'wilss store repair{root}', then run again"


def mark_of(path: Path, flushed: bool = False) -> FileMark:
    """Size and checksum of a file, read once from beginning to end.

    Args:
        flushed: the file is on the disk when this returns.
    """
    with path.open("rb") as handle:
        checksum = hashlib.file_digest(handle, "sha256").hexdigest()[:32]
        size = handle.tell()
        if flushed:
            os.fsync(handle.fileno())
    return FileMark(bytes=size, checksum=checksum)


def mark_all(folder: Path) -> dict[str, FileMark]:
    """Marks of every file below a folder but its manifest; files and folders are flushed to the disk."""
    marks = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            flush(path)
        elif name != MANIFEST:
            marks[name] = mark_of(path, flushed=True)
    flush(folder)
    return marks


def seal_of(content: Mapping[str, Any]) -> str:
    """The checksum of a JSON file's content without its own key "seal"."""
    facts = {key: value for key, value in content.items() if key != "seal"}
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:32]


def require_seal(content: Any, first: int) -> None:
    """Raise FormatError for content that is not what was sealed.

    Args:
        first: formats before this one have no seal.
    """
    if not isinstance(content, Mapping):
        raise FormatError("it is no mapping")
    version = content.get("format")
    if "seal" in content or (isinstance(version, int) and version >= first):
        try:
            seal = seal_of(content)
        except ValueError as error:  # NaN
            raise FormatError(str(error)) from error
        if content.get("seal") != seal:
            raise FormatError("its content is not what was written")


def read_sealed_manifest(folder: Path) -> dict[str, Any]:
    """Content of the manifest of an artefact.

    Raises DamagedArtefactError for one that is gone, unreadable, changed, or of another artefact.
    """
    with reading(folder, MANIFEST):
        content = read_json(folder / MANIFEST, MEND)
        require_seal(content, SEALED)
        place = place_of(folder)
        if place and (content.get("kind"), content.get("digest")) != (place.kind, place.digest):
            raise FormatError(f"it is that of {content.get('kind')!s:.20} {content.get('digest')!s:.40}")
    return dict(content)


class _Listed(BaseModel):
    files: dict[str, FileMark] = {}


def marks_in(folder: Path) -> Marks:
    """What the manifest in a folder lists; nothing where there is none. Raises as `read_sealed_manifest` does."""
    if not (folder / MANIFEST).exists():
        return {}
    content = read_sealed_manifest(folder)
    with reading(folder, MANIFEST):
        return checked(_Listed, content, folder / MANIFEST, MEND).files


def require_sizes(folder: Path, marks: Marks, prefix: str = "") -> None:
    """Raise DamagedArtefactError for a listed file below ``prefix`` that is gone or of another size; none is read."""
    for name, mark in marks.items():
        if name.startswith(prefix):
            _require_size(folder, name, mark)


def require_file(folder: Path, marks: Marks, name: str) -> None:
    """Raise DamagedArtefactError for a file that is not what the marks say; one that they do not list may be anything.

    Files are listed or the folder lists none: where it lists some, a file that it does not list is refused.
    """
    mark = marks.get(name)
    if mark is None:
        if marks:
            raise damaged(folder, name, "its manifest does not list it")
        return
    _require_size(folder, name, mark)
    with reading(folder, name):
        if mark_of(folder / name) != mark:
            raise FormatError("its content is not what was written")


def read_stored(model: type[M], folder: Path, name: str, limit: int = JSON_BYTES) -> M:
    """The validated content of a JSON file of an artefact.

    Args:
        limit: bytes that are read at most.

    Raises DamagedArtefactError for one that is gone, unreadable, or not what was stored.
    """
    require_file(folder, marks_in(folder), name)
    with reading(folder, name):
        return checked(model, read_json(folder / name, MEND, limit), folder / name, MEND)


@contextmanager
def reading(folder: Path, name: str) -> Iterator[None]:
    """What goes wrong while a file of an artefact is read becomes the error of `damaged`."""
    try:
        yield
    except DamagedArtefactError:
        raise
    except FormatError as error:
        raise damaged(folder, name, error) from error
    except OSError as error:
        raise damaged(folder, name, error.strerror or error) from error


def _require_size(folder: Path, name: str, mark: FileMark) -> None:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise damaged(folder, MANIFEST, f"it lists '{name[:60]}', which is not below its folder")
    with reading(folder, name):
        path = folder / name
        size = path.stat().st_size
        if not path.is_file():
            raise FormatError("it is no file")
        if size != mark.bytes:
            raise FormatError(f"it has {size} bytes; {mark.bytes} were written")
