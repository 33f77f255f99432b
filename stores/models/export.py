"""A stored model in a folder of its own: as it lies in the store, checksums included."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from stores.manifests import Manifest, read_manifest
from wilss.damage import damaged, mark_of, require_file
from wilss.errors import SpecError
from wilss.layout import MANIFEST
from wilss.outputs import flush, whole_file, writable_folder


def export_model(folder: Path, to: Path) -> Path:
    """Copy a model of the store whole; every file is held against its checksum before and after.

    Raises SpecError where something is there already or nothing can be written, DamagedArtefactError for a model that
    is not as it was written, StorageError for a disk that takes no more. Then nothing is left.
    """
    if os.path.lexists(to):
        raise SpecError(f"'{to}' is there already and is not replaced; name a folder that does not exist")
    manifest = read_manifest(folder)
    for name in manifest.files:
        require_file(folder, manifest.files, name)
    writable_folder(to.parent)
    with whole_file(to, shared=True) as partial:
        try:
            _copy(folder, partial, manifest)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return to


def _copy(folder: Path, to: Path, manifest: Manifest) -> None:
    names = list(manifest.files) or [path.name for path in folder.iterdir() if path.is_file()]
    for name in [*names, MANIFEST]:
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target)
        flush(target)
    for name, mark in manifest.files.items():
        if mark_of(to / name) != mark:
            raise damaged(to, name, "its copy is not what was read", "export it again, to another disk")
