"""Content-addressed artefacts: built in a staging folder, published by one rename, never changed.

Layout: ``<root>/<kind>/<first two digits>/<digest>/`` with a ``manifest.json`` that is the commit: a folder without one
is no artefact. Work in progress lies in ``<root>/<kind>/.staging-<digest>/`` and is taken up again by the next run.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field

from wilss.digest import digest_of
from wilss.errors import ArtefactNotFoundError, FormatError
from wilss.outputs import whole_file
from wilss.outside import checked, read_json

Kind = Literal["labels", "banks", "checkpoints", "evaluations", "episodes", "heads"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FORMAT = 1
"""Version of the on-disk format written by this code."""
AGAIN = "delete its folder and run again to rebuild it"
Digest = Annotated[str, Field(pattern="^[0-9A-Za-z]{1,64}$")]
"""A manifest comes from others too: what it names is looked for in the store, and nowhere else."""


class ArtefactRef(BaseModel):
    """Small plain data that tasks hand to each other instead of the artefact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    digest: str
    counts: dict[str, int] = {}


class Manifest(BaseModel):
    """The commit of an artefact: what it is, what made it, what it was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    kind: Kind
    digest: Digest
    created: str
    recipe: dict[str, Any]
    parents: dict[str, Digest]
    counts: dict[str, int]
    notes: dict[str, Any] = {}

    @property
    def ref(self) -> ArtefactRef:
        """The reference to this artefact."""
        return ArtefactRef(kind=self.kind, digest=self.digest, counts=self.counts)


@dataclass(frozen=True)
class Recipe:
    """Everything that determines an artefact: plain data and the digests of its parents."""

    kind: Kind
    facts: dict[str, Any]
    parents: dict[str, str]

    @property
    def digest(self) -> str:
        """Name of the artefact that this recipe makes."""
        return digest_of({"kind": self.kind, "facts": self.facts, "parents": self.parents})


class Store:
    """All artefacts under one root folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, kind: Kind, digest: str) -> Path:
        """Folder of a published artefact (which need not exist)."""
        return self.root / kind / digest[:2] / digest

    def staging(self, kind: Kind, digest: str) -> Path:
        """Folder in which an artefact is built."""
        return self.root / kind / f".staging-{digest}"

    def find(self, recipe: Recipe) -> Manifest | None:
        """The manifest of the artefact that the recipe makes, or None while it is not complete."""
        folder = self.path(recipe.kind, recipe.digest)
        return read_manifest(folder) if (folder / "manifest.json").is_file() else None

    def get(self, kind: Kind, digest: str) -> Manifest:
        """Manifest by kind and digest, or by the first digits of one.

        Raises ArtefactNotFoundError when none or several match.
        """
        found = [m for m in self.all(kind) if m.digest.startswith(digest)] if digest.isalnum() else []
        if len(found) != 1:
            problem = "is ambiguous" if found else "does not exist"
            known = ", ".join(m.digest[:12] for m in found or self.all(kind)) or "none"
            raise ArtefactNotFoundError(f"'{digest}' {problem} among the {kind} in '{self.root}'; there: {known}")
        return found[0]

    def all(self, kind: Kind) -> list[Manifest]:
        """Every published artefact of a kind, oldest first."""
        folders = [path.parent for path in (self.root / kind).glob("??/*/manifest.json")]
        return sorted((read_manifest(folder) for folder in folders), key=lambda m: (m.created, m.digest))

    @contextmanager
    def build(self, recipe: Recipe, on_wait: Callable[[], None] | None = None) -> Iterator[Path]:
        """Give the staging folder of a recipe to one builder at a time; on an error it stays, to be taken up again.

        Who had to wait must look for the artefact once more; a folder that is then of no use is removed.

        Args:
            on_wait: called before waiting for another process that builds the same artefact.
        """
        folder = self.staging(recipe.kind, recipe.digest)
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{folder}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if on_wait is not None:
                on_wait()
            lock.acquire()
        made_meanwhile = self.find(recipe)
        try:
            folder.mkdir(exist_ok=True)
            yield folder
        finally:
            if made_meanwhile:
                shutil.rmtree(folder, ignore_errors=True)
                Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()

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
            parents=recipe.parents,
            counts=counts,
            notes=notes or {},
        )
        with whole_file(staging / "manifest.json") as partial:
            partial.write_text(manifest.model_dump_json(indent=1))
        target = self.path(recipe.kind, recipe.digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        if (target / "manifest.json").is_file():
            shutil.rmtree(staging)
        else:
            staging.replace(target)
        Path(f"{staging}.lock").unlink(missing_ok=True)
        return manifest


def read_manifest(folder: Path) -> Manifest:
    """Read and check a manifest.

    Raises ArtefactNotFoundError when there is none, FormatError for one that is newer or damaged.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise ArtefactNotFoundError(f"'{folder}' is no finished artefact: it has no manifest.json")
    content = read_json(path, AGAIN)
    version = content.get("format") if isinstance(content, dict) else None
    if not isinstance(version, int) or version > FORMAT:
        raise FormatError(f"'{path}' has format {version}; this version reads up to {FORMAT}. Upgrade wilss")
    return checked(Manifest, content, path, AGAIN)
