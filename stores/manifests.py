"""The manifest of an artefact: its commit, and the list of its files. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from wilss.damage import MEND, FileMark, read_sealed_manifest, reading, require_sizes
from wilss.layout import MANIFEST, Kind
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


def read_manifest(folder: Path) -> Manifest:
    """Read and check a manifest.

    Raises DamagedArtefactError for one that is gone or not what was written, FormatError for one that is newer.
    """
    content = read_sealed_manifest(folder)
    require_format(content, folder / MANIFEST, FORMAT)
    with reading(folder, MANIFEST):
        return checked(Manifest, content, folder / MANIFEST, MEND)


def sound_manifest(folder: Path) -> Manifest:
    """The same of an artefact that has all its files, in their size. Raises DamagedArtefactError for another one."""
    manifest = read_manifest(folder)
    require_sizes(folder, manifest.files)
    return manifest
