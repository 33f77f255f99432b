"""What was made from what: manifests of a root, read again only where they changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from deployments.inspector.marks import Mark, mark_of
from stores.artefacts import Manifest, read_manifest
from wilss.errors import FormatError
from wilss.layout import KINDS, MANIFEST, published


@dataclass
class Lineage:
    """All artefacts of a root by digest. faults: folder -> what is wrong with its manifest.

    Both are replaced as a whole, never changed: other threads may go through them meanwhile.
    """

    root: Path
    manifests: dict[str, Manifest] = field(default_factory=dict)
    faults: dict[Path, FormatError] = field(default_factory=dict)
    _marks: dict[Path, Mark] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def refresh(self) -> Lineage:
        """Read what is new or changed, and forget what is gone."""
        with self._lock:
            there = {folder: mark_of(folder / MANIFEST) for kind in KINDS for folder in published(self.root, kind)}
            if there != self._marks:
                self._follow(there)
        return self

    def _follow(self, there: dict[Path, Mark]) -> None:
        manifests, faults = dict(self.manifests), dict(self.faults)
        for folder in self._marks:
            if self._marks[folder] != there.get(folder):
                manifests.pop(folder.name, None)
                faults.pop(folder, None)
        for folder, mark in there.items():
            if self._marks.get(folder) != mark:
                try:
                    manifests[folder.name] = read_manifest(folder)
                except FormatError as error:
                    faults[folder] = error
        self.manifests, self.faults, self._marks = manifests, faults, there

    def of_kind(self, kind: str) -> list[Manifest]:
        """Artefacts of a kind, newest first."""
        return _newest(m for m in self.manifests.values() if m.kind == kind)

    def children(self, digest: str, role: str = "", kind: str = "") -> list[Manifest]:
        """What was made from an artefact, in this role or any, newest first."""
        return _newest(
            m
            for m in self.manifests.values()
            if (not kind or m.kind == kind) and any(d == digest and role in ("", r) for r, d in m.parents.items())
        )

    def parents(self, manifest: Manifest) -> dict[str, Manifest]:
        """What an artefact was made from, by role; those that are gone are left out."""
        named = {role: self.manifests.get(digest) for role, digest in manifest.parents.items()}
        return {role: found for role, found in named.items() if found is not None}

    def students(self, digest: str) -> tuple[Manifest | None, Manifest | None]:
        """The newest student that learnt from a label set, and the one that it learnt upon: before, and after."""
        after = next(iter(self.children(digest, "labels", "checkpoints")), None)
        return (self.manifests.get(after.parents.get("previous", "")) if after else None), after


def _newest(manifests: Iterable[Manifest]) -> list[Manifest]:
    return sorted(manifests, key=lambda m: (m.created, m.digest), reverse=True)
