"""Whether the files of an artefact are those that its manifest lists; see `wilss.damage`."""

from __future__ import annotations

from pathlib import Path

from stores.artefacts import Manifest
from wilss import damage


def require_file(folder: Path, manifest: Manifest, name: str) -> None:
    """Raise DamagedArtefactError for a file whose size or content is not what the manifest says."""
    damage.require_file(folder, manifest.files, name)


def require_sizes(folder: Path, manifest: Manifest, prefix: str = "") -> None:
    """Raise DamagedArtefactError for a listed file below ``prefix`` that is gone or of another size; none is read."""
    damage.require_sizes(folder, manifest.files, prefix)
