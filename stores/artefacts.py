"""Content-addressed artefacts: built in a staging folder, published by one rename, never changed, at most made anew.

Layout: ``<root>/<kind>/<first two digits>/<digest>/`` with a ``manifest.json`` that is the commit: a folder without one
is no artefact. Work in progress lies in ``<root>/<kind>/.staging-<digest>/`` and is taken up again by the next run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field

from wilss.damage import MEND, FileMark, mark_all, read_sealed_manifest, reading, seal_of
from wilss.digest import digest_of
from wilss.errors import ArtefactNotFoundError
from wilss.layout import MANIFEST, Kind, artefact_folder, find_artefact, published
from wilss.outputs import whole_file
from wilss.outside import checked, require_format

FORMAT = 2
"""Version of the on-disk format written by this code; manifests of format 1 list no files and have no seal."""
Digest = Annotated[str, Field(pattern="^[0-9A-Za-z]{1,64}$")]
"""A manifest comes from others too: what it names is looked for in the store, and nowhere else."""


class ArtefactRef(BaseModel):
    """Small plain data that tasks hand to each other instead of the artefact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    digest: str
    counts: dict[str, int] = {}

    def __iter__(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        """Nothing: whoever follows what is handed on, as Prefect does, must take a reference as a whole.

        Its kind is one string for all of that kind, so that by their parts references would be taken for each other.
        """
        return iter(())


class Manifest(BaseModel):
    """The commit of an artefact: what it is, what made it, what it was made from.

    files: everything in its folder but the manifest; none in format 1. seal: checksum of the manifest itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    kind: Kind
    digest: Digest
    created: str
    recipe: dict[str, Any]
    parents: dict[str, Digest]
    counts: dict[str, int]
    notes: dict[str, Any] = {}
    files: dict[str, FileMark] = {}
    seal: str = ""

    @property
    def ref(self) -> ArtefactRef:
        """The reference to this artefact."""
        return ArtefactRef(kind=self.kind, digest=self.digest, counts=self.counts)


@dataclass(frozen=True)
class Recipe:
    """Everything that determines an artefact: plain data, and its parents by their role.

    A parent is a recipe too, or the reference of an artefact that is there already.
    """

    kind: Kind
    facts: dict[str, Any]
    parents: Mapping[str, Recipe | ArtefactRef] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Name of the artefact that this recipe makes; computed once."""
        return digest_of({"kind": self.kind, "facts": self.facts, "parents": self.parent_digests})

    @property
    def parent_digests(self) -> dict[str, str]:
        """Digests of the parents by their role."""
        return {role: parent.digest for role, parent in self.parents.items()}


@dataclass(frozen=True)
class Anew:
    """An artefact is made again although it is there.

    token: tells this making from an earlier one, whose unfinished work is thrown away. replaces: when the artefact was
    made that goes; None where there was none.
    """

    token: str
    replaces: str | None


class Store:
    """All artefacts under one root folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, kind: Kind, digest: str) -> Path:
        """Folder of a published artefact (which need not exist)."""
        return artefact_folder(self.root, kind, digest)

    def staging(self, kind: Kind, digest: str) -> Path:
        """Folder in which an artefact is built."""
        return self.root / kind / f".staging-{digest}"

    def find(self, named: Recipe | ArtefactRef) -> Manifest | None:
        """The manifest of the artefact that a recipe makes or a reference names, or None while it is not complete."""
        folder = self.path(named.kind, named.digest)
        return read_manifest(folder) if (folder / MANIFEST).is_file() else None

    def folder(self, ref: ArtefactRef) -> Path:
        """Folder of a published artefact. Raises ArtefactNotFoundError when it is not there."""
        folder = self.path(ref.kind, ref.digest)
        if not (folder / MANIFEST).is_file():
            raise ArtefactNotFoundError(
                f"{ref.kind} {ref.digest[:12]} is not in '{self.root}'; run the stage that makes it again"
            )
        return folder

    def get(self, kind: Kind, digest: str) -> Manifest:
        """Manifest by kind and digest, or by the first digits of one.

        Raises ArtefactNotFoundError when none or several match.
        """
        return read_manifest(find_artefact(self.root, kind, digest))

    def all(self, kind: Kind) -> list[Manifest]:
        """Every published artefact of a kind, oldest first."""
        manifests = (read_manifest(folder) for folder in published(self.root, kind))
        return sorted(manifests, key=lambda m: (m.created, m.digest))

    @contextmanager
    def build(
        self,
        recipe: Recipe,
        on_wait: Callable[[], None] | None = None,
        anew: Anew | None = None,
        part: str = "",
    ) -> Iterator[Path]:
        """Give the staging folder of a recipe to one builder at a time; on an error it stays, to be taken up again.

        Who had to wait must look for the artefact once more; a folder that is then of no use is removed.

        Args:
            on_wait: called before waiting for another process that builds the same.
            anew: the artefact is replaced when the new one is published, and stays as it is until then.
            part: of the artefact; builders of different parts, each with files of its own, work side by side in the
                folder that was begun without a part.
        """
        folder = self.staging(recipe.kind, recipe.digest)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _held(Path(f"{folder}{part and f'.{part}'}.lock"), on_wait):
            try:
                with nullcontext() if part else self._begun(recipe, folder, anew):
                    yield folder
            finally:
                if not folder.exists():
                    for left in folder.parent.glob(f"{folder.name}.*"):  # locks, and the token of what is made anew
                        left.unlink(missing_ok=True)

    @contextmanager
    def alone(self, recipe: Recipe, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Be the only process that builds an artefact in parts, from its beginning to its publication."""
        folder = self.staging(recipe.kind, recipe.digest)
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = Path(f"{folder}.parts.lock")
        with _held(lock, on_wait):
            try:
                yield
            finally:
                if not folder.exists():
                    lock.unlink(missing_ok=True)

    @contextmanager
    def _begun(self, recipe: Recipe, folder: Path, anew: Anew | None) -> Iterator[None]:
        self._settle(recipe)
        found = self.find(recipe)
        made_meanwhile = found if anew is None or (found and found.created != anew.replaces) else None
        if anew and not made_meanwhile:
            _start_over(folder, anew)
        folder.mkdir(exist_ok=True)
        try:
            yield
        finally:
            if made_meanwhile:
                shutil.rmtree(folder, ignore_errors=True)

    def publish(
        self, recipe: Recipe, staging: Path, counts: dict[str, int], notes: dict[str, Any] | None = None
    ) -> Manifest:
        """Write the manifest into the staging folder and rename it to its place."""
        manifest = Manifest(
            format=FORMAT,
            kind=recipe.kind,
            digest=recipe.digest,
            created=datetime.now(UTC).isoformat(timespec="microseconds"),
            recipe=recipe.facts,
            parents=recipe.parent_digests,
            counts=counts,
            notes=notes or {},
            files=mark_all(staging),
        )
        manifest = manifest.model_copy(update={"seal": seal_of(json.loads(manifest.model_dump_json()))})
        with whole_file(staging / MANIFEST) as partial:
            partial.write_text(manifest.model_dump_json(indent=1))
        target = self.path(recipe.kind, recipe.digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (target / MANIFEST).is_file():
            staging.replace(target)
        elif _token_of(staging).is_file():
            target.replace(self._aside(recipe))
            staging.replace(target)
            shutil.rmtree(self._aside(recipe), ignore_errors=True)
        else:
            shutil.rmtree(staging)
        return manifest

    def _aside(self, recipe: Recipe) -> Path:
        return self.root / recipe.kind / f".replaced-{recipe.digest}"

    def _settle(self, recipe: Recipe) -> None:
        """What a process left that was killed while it replaced an artefact: the old one goes back, or goes."""
        aside, target = self._aside(recipe), self.path(recipe.kind, recipe.digest)
        if aside.is_dir() and not target.exists():
            aside.replace(target)
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _held(path: Path, on_wait: Callable[[], None] | None) -> Iterator[None]:
    """Hold a lock file; it dies with its process."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if on_wait is not None:
            on_wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _token_of(staging: Path) -> Path:
    """Beside a staging folder: its artefact is made anew, and by whom."""
    return Path(f"{staging}.anew")


def _start_over(staging: Path, anew: Anew) -> None:
    token = _token_of(staging)
    if not token.is_file() or token.read_text() != anew.token:
        shutil.rmtree(staging, ignore_errors=True)
        token.write_text(anew.token)


def read_manifest(folder: Path) -> Manifest:
    """Read and check a manifest.

    Raises ArtefactNotFoundError when there is none, FormatError for one that is newer, DamagedArtefactError for one
    that is not what was written.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise ArtefactNotFoundError(f"'{folder}' is no finished artefact: it has no manifest.json")
    content = read_sealed_manifest(folder)
    require_format(content, path, FORMAT)
    with reading(folder, MANIFEST):
        return checked(Manifest, content, path, MEND)
