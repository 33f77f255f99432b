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
from typing import Any

from stores.folders import folders_of
from stores.locks import held
from stores.manifests import FORMAT, ArtefactRef, Manifest, read_manifest, sound_manifest
from stores.quarantine import place_in_quarantine
from wilss.damage import mark_all, require_file, seal_of
from wilss.digest import digest_of
from wilss.errors import ArtefactNotFoundError, DamagedArtefactError, FormatError
from wilss.layout import MANIFEST, QUARANTINE, Kind, artefact_folder, find_artefact, published
from wilss.outputs import flush, whole_file, writing

__all__ = ["FORMAT", "GONE", "Anew", "ArtefactRef", "Manifest", "Recipe", "Store", "quarantine", "read_manifest"]

GONE = "-gone"
"""Ends the name of `Store.aside` for what is being deleted, and comes back from nowhere."""


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
        self.folders = folders_of(root)

    def path(self, kind: Kind, digest: str) -> Path:
        """Folder of a published artefact (which need not exist)."""
        return artefact_folder(self.root, kind, digest)

    def staging(self, kind: Kind, digest: str) -> Path:
        """Folder in which an artefact is built."""
        return self.root / kind / f".staging-{digest}"

    def aside(self, kind: Kind, digest: str) -> Path:
        """Folder in which an artefact waits while another takes its place."""
        return self.root / kind / f".replaced-{digest}"

    def find(self, named: Recipe | ArtefactRef) -> Manifest | None:
        """The manifest of the artefact that a recipe makes or a reference names, or None where there is none.

        Raises DamagedArtefactError for one without a readable manifest, or that lacks a file; contents are looked at
        when they are opened.
        """
        folder = self._here(named)
        return sound_manifest(folder) if folder.exists() else None

    def _here(self, named: Recipe | ArtefactRef) -> Path:
        """Folder of an artefact, looked for where the root has it."""
        folder = self.path(named.kind, named.digest)
        if folder.exists() or self.folders.look(named.kind, named.digest):
            self.folders.use(named.kind, named.digest)
        return folder

    def folder(self, ref: ArtefactRef) -> Path:
        """Folder of a published artefact. Raises ArtefactNotFoundError when it is not there."""
        folder = self._here(ref)
        if not folder.exists():
            raise ArtefactNotFoundError(
                f"{ref.kind} {ref.digest[:12]} is not in '{self.root}'; run the stage that makes it again"
            )
        return folder

    def get(self, kind: Kind, digest: str) -> Manifest:
        """Manifest by kind and digest, or by the first digits of one.

        Raises ArtefactNotFoundError when none or several match, and as `find` does.
        """
        return sound_manifest(find_artefact(self.root, kind, digest))

    def all(self, kind: Kind) -> list[Manifest]:
        """Every sound artefact of a kind, oldest first; see `survey`."""
        return self.survey(kind)[0]

    def survey(self, kind: Kind) -> tuple[list[Manifest], list[FormatError]]:
        """Every sound artefact of a kind, oldest first, and what is wrong with the others."""
        manifests, faults = [], []
        for folder in published(self.root, kind):
            try:
                manifests.append(sound_manifest(folder))
            except FormatError as error:
                faults.append(error)
        return sorted(manifests, key=lambda m: (m.created, m.digest)), faults

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
        with writing(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            lease = f"{recipe.kind}/{recipe.digest}{part and '.' + part.replace(' ', '-')}"
            with (
                held(Path(f"{folder}{part and f'.{part}'}.lock"), on_wait),
                self.folders.leased(lease, on_wait),
            ):
                try:
                    with nullcontext() if part else self._begun(recipe, folder, anew):
                        yield folder
                finally:
                    if not folder.exists():
                        for left in folder.parent.glob(f"{folder.name}.*"):  # locks, and the token of making it anew
                            left.unlink(missing_ok=True)

    @contextmanager
    def alone(self, recipe: Recipe, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Be the only process of this machine that builds an artefact in parts, from its beginning to its end."""
        folder = self.staging(recipe.kind, recipe.digest)
        lock = Path(f"{folder}.parts.lock")
        with writing(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with held(lock, on_wait):
                try:
                    yield
                finally:
                    if not folder.exists():
                        lock.unlink(missing_ok=True)

    @contextmanager
    def _begun(self, recipe: Recipe, folder: Path, anew: Anew | None) -> Iterator[None]:
        self.settle(recipe.kind, recipe.digest)
        found = self._sound_or_aside(recipe)
        made_meanwhile = found if anew is None or (found and found.created != anew.replaces) else None
        if anew and not made_meanwhile and _start_over(folder, anew):
            self.folders.clear_parts(recipe.kind, recipe.digest)
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
        for left in staging.rglob("*.partial"):  # by a killed process; one that is marked and then replaced is damage
            left.unlink()
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
        there = self._sound_or_aside(recipe)
        if not self.folders.commit(recipe.kind, recipe.digest, staging, manifest.files, _token_of(staging).is_file()):
            shutil.rmtree(staging)  # another machine's came first
            self.folders.look(recipe.kind, recipe.digest)
            return self.find(recipe) or manifest
        if there is None:
            staging.replace(target)
        elif _token_of(staging).is_file():
            target.replace(self.aside(recipe.kind, recipe.digest))
            staging.replace(target)
            shutil.rmtree(self.aside(recipe.kind, recipe.digest), ignore_errors=True)
        else:
            shutil.rmtree(staging)
        flush(target.parent)
        self.folders.look(recipe.kind, recipe.digest)
        return manifest

    def was_set_aside(self, recipe: Recipe) -> bool:
        """Whether an artefact of the recipe was moved out of the way."""
        return any((self.root / QUARANTINE / recipe.kind).glob(f"{recipe.digest}-*"))

    def set_aside(self, recipe: Recipe, file: str | None = None) -> bool:
        """Move an artefact with a damaged file out of the way, unless another process has made it anew meanwhile.

        Args:
            file: None moves it whatever its files are.

        Returns:
            False where nothing had to be: its bucket has what is damaged here.
        """
        with self.build(recipe):
            if file is not None and self.folders.heal(self.path(recipe.kind, recipe.digest)):
                return False
            found = self.find(recipe)
            if found and not (file is not None and found.files and self._is_sound(found, file)):
                quarantine(self.root, recipe.kind, recipe.digest)
            return True

    def _is_sound(self, manifest: Manifest, file: str) -> bool:
        try:
            require_file(self.path(manifest.kind, manifest.digest), manifest.files, file)
        except DamagedArtefactError:
            return False
        return True

    def _sound_or_aside(self, recipe: Recipe) -> Manifest | None:
        """What stands of a recipe; what is damaged is moved out of the way."""
        try:
            return self.find(recipe)
        except DamagedArtefactError:
            if self.folders.heal(self.path(recipe.kind, recipe.digest)):
                return self.find(recipe)
            quarantine(self.root, recipe.kind, recipe.digest)
            return None

    def settle(self, kind: Kind, digest: str) -> None:
        """What a process left that was killed while it replaced an artefact: the old one goes back, or goes."""
        aside, target = self.aside(kind, digest), self.path(kind, digest)
        if aside.is_dir() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            aside.replace(target)
        shutil.rmtree(aside, ignore_errors=True)


def _token_of(staging: Path) -> Path:
    """Beside a staging folder: its artefact is made anew, and by whom."""
    return Path(f"{staging}.anew")


def _start_over(staging: Path, anew: Anew) -> bool:
    token = _token_of(staging)
    if is_new := not token.is_file() or token.read_text() != anew.token:
        shutil.rmtree(staging, ignore_errors=True)
        token.write_text(anew.token)
    return is_new


def quarantine(root: Path, kind: Kind, digest: str) -> Path:
    """Move an artefact out of the way, where nothing finds it, and return where it is."""
    place = place_in_quarantine(root, kind, digest)
    folders_of(root).uncommit(kind, digest)
    artefact_folder(root, kind, digest).replace(place)
    return place
