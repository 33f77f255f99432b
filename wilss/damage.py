"""Whether stored files are what was stored: an artefact's manifest lists every file, and holds a seal of itself.

One reader for whatever lies in an artefact's folder. A folder without a manifest, which a script wrote or somebody
handed over, and artefacts of format 1 list no files: they are read as they are. Imports no torch.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError

from wilss.digest import canonical_json
from wilss.errors import DamagedArtefactError, FormatError
from wilss.layout import CONFIG, KINDS, MANIFEST, default_root
from wilss.outputs import flush
from wilss.outside import JSON_BYTES, checked, read_json

if TYPE_CHECKING:
    from wilss.bucket.remote import Remote

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


def damaged(folder: Path, name: str, reason: object, cure: str = "") -> DamagedArtefactError:
    """The error that names the artefact, its file, what is wrong with it, and the command that mends it."""
    fault = f"'{folder / name}' is damaged"
    said = " ".join(str(reason).split()).removeprefix(fault).removesuffix(f"; {MEND}").strip()[:400]
    told = said if said.startswith(":") else f" {said}" if said.startswith("(") else f" ({said})"
    return DamagedArtefactError(f"{fault}{told}", cure or advice(folder), folder, name)


def advice(folder: Path) -> str:
    """What to do about a damaged artefact."""
    place = place_of(folder)
    if place is None and (folder / CONFIG).is_file():
        return "take the folder anew, from where it came from"
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


def require_seal(content: Any) -> None:
    """Raise FormatError for content that is not what was sealed; older formats have no seal."""
    if not isinstance(content, Mapping):
        raise FormatError("it is no mapping")
    if content.get("seal"):
        try:
            seal = seal_of(content)
        except ValueError as error:  # NaN
            raise FormatError(str(error)) from error
        if content["seal"] != seal:
            raise FormatError("its content is not what was written")


def read_sealed_manifest(folder: Path) -> dict[str, Any]:
    """Content of the manifest of an artefact.

    Raises DamagedArtefactError for one that is gone, unreadable, changed, or of another artefact.
    """
    with reading(folder, MANIFEST):
        content = read_json(folder / MANIFEST, MEND)
        require_seal(content)
        version = content.get("format")
        if isinstance(version, int) and version >= SEALED and not content.get("seal"):
            raise FormatError("it has lost its seal")
        place = place_of(folder)
        if place and (content.get("kind"), content.get("digest")) != (place.kind, place.digest):
            raise FormatError(f"it is that of {content.get('kind')!s:.20} {content.get('digest')!s:.40}")
    return dict(content)


class _Listed(BaseModel):
    files: dict[str, FileMark] = {}


def marks_in(folder: Path) -> Marks:
    """What the manifest in a folder lists; nothing outside of a store where there is none of ours.

    Raises DamagedArtefactError as `read_sealed_manifest` does, and for an artefact whose manifest is gone.
    """
    inside = place_of(folder) is not None and folder.is_dir()
    if not (inside or (folder / MANIFEST).exists()):
        return {}
    content = read_sealed_manifest(folder)
    if not inside and not {"kind", "digest", "recipe"} <= content.keys():
        return {}
    with reading(folder, MANIFEST):
        return checked(_Listed, content, folder / MANIFEST, MEND).files


def require_sizes(folder: Path, marks: Marks, prefix: str = "") -> None:
    """Raise DamagedArtefactError for a listed file below ``prefix`` that is gone or of another size; none is read.

    In the working root of a bucket a file may be missing: it comes when it is opened.
    """
    for name, mark in marks.items():
        if name.startswith(prefix):
            _require_size(folder, name, mark)


def bring(folder: Path, marks: Marks) -> None:
    """Have every file of an artefact at hand whose root is a bucket; nothing to do elsewhere."""
    if remote := _remote_with(folder):
        remote.fetch_all(folder, marks)


def is_at_hand(path: Path, comes: bool = True) -> bool:
    """Whether there is such a file in an artefact's folder, or its bucket has it.

    Args:
        comes: it is brought then; otherwise it need not be there.
    """
    if path.is_file():
        return True
    remote = _remote_with(path.parent)
    mark = marks_in(path.parent).get(path.name) if remote else None
    if remote and mark and comes:
        remote.fetch(path.parent, path.name, mark)
    return mark is not None


def _remote_with(folder: Path) -> Remote | None:
    """The bucket that has an artefact, of which this folder is a copy that may lack files."""
    place = place_of(folder)
    if place is None:
        return None
    from wilss.bucket.remote import remote_of

    remote = remote_of(place.root)
    return remote if remote and remote.knows(place.kind, place.digest) else None


def require_file(folder: Path, marks: Marks, name: str) -> None:
    """Raise DamagedArtefactError for a file that is not what the marks say; one that they do not list may be anything.

    Files are listed or the folder lists none: where it lists some, a file that it does not list is refused.
    """
    mark = marks.get(name)
    if mark is None:
        if marks:
            raise damaged(folder, name, "its manifest does not list it")
        return
    _require_size(folder, name, mark, comes=True)
    with reading(folder, name):
        if mark_of(folder / name) != mark:
            raise FormatError("its content is not what was written")


def require_stored(path: Path) -> None:
    """`require_file` of a file that lies in an artefact's folder itself, by the manifest beside it."""
    require_file(path.parent, marks_in(path.parent), path.name)


def is_stored(path: Path) -> bool:
    """Whether there is such a file in an artefact's folder. Raises DamagedArtefactError for one that is gone."""
    return path.is_file() or _listed(path)


def _listed(path: Path) -> bool:
    mark = marks_in(path.parent).get(path.name)
    if mark:
        _require_size(path.parent, path.name, mark, comes=True)
    return mark is not None


def read_stored_json(path: Path, limit: int = JSON_BYTES) -> Any:
    """Content of a JSON file that lies in an artefact's folder.

    Args:
        limit: bytes that are read at most.

    Raises DamagedArtefactError for one that is gone, unreadable, or not what was stored.
    """
    require_stored(path)
    with reading(path.parent, path.name):
        return read_json(path, MEND, limit)


def read_stored(model: type[M], path: Path, limit: int = JSON_BYTES) -> M:
    """The same, validated with a model."""
    content = read_stored_json(path, limit)
    with reading(path.parent, path.name):
        return checked(model, content, path, MEND)


@contextmanager
def reading(folder: Path, name: str, cure: str = "") -> Iterator[None]:
    """What goes wrong while a file of an artefact is read becomes the error of `damaged`.

    Args:
        cure: what to do about it, where that is not `advice`.
    """
    try:
        yield
    except DamagedArtefactError:
        raise
    except (FormatError, SafetensorError) as error:
        raise damaged(folder, name, error, cure) from error
    except OSError as error:
        raise damaged(folder, name, error.strerror or error, cure) from error


def _require_size(folder: Path, name: str, mark: FileMark, comes: bool = False) -> None:
    """Written for speed: a label set of 100,000 rows lists 1,500 files, and all are looked at when it is opened.

    Args:
        comes: a file that its bucket has is brought.
    """
    if name.startswith("/") or ".." in name.split("/"):
        raise damaged(folder, MANIFEST, f"it lists '{name[:60]}', which is not below its folder")
    try:
        facts = os.stat(f"{folder}/{name}")  # noqa: PTH116
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and (remote := _remote_with(folder)):
            if comes:
                remote.fetch(folder, name, mark)
            return
        with reading(folder, name):
            facts = (folder / name).stat()  # says what is wrong
    if not stat.S_ISREG(facts.st_mode):
        raise damaged(folder, name, "it is no file")
    if facts.st_size != mark.bytes:
        raise damaged(folder, name, f"it has {facts.st_size} bytes; {mark.bytes} were written")
