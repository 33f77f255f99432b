"""Vector sets of checkpoints: the set alone, and plain checkpoints folded from it."""

from __future__ import annotations

import shutil
from pathlib import Path

from torch import nn

from stores.artefacts import Store, read_manifest
from stores.models.vectors import VECTORS, StoredVectors, bases_folder, load_bases, require_vectors
from wilss.errors import FormatError, SpecError
from wilss.models.card import StudentCard, load_card
from wilss.models.files import load_student, save_model
from wilss.models.lookup import model_folder
from wilss.nets.vectors import VectorSets
from wilss.outputs import require_free, whole_file, writable_folder

TOLERANCE = 1e-4
"""A folded weight may differ from the checkpoint's own by this share of its norm: another machine rounds otherwise."""


def svf_export(checkpoint: str, out: Path, root: Path, replace: bool = False) -> StoredVectors:
    """Copy the vector set of a checkpoint to a file of its own; it goes with the checkpoint of its bases.

    Raises SpecError when ``out`` is a folder or is there and not to be replaced, or nothing can be written beside it.
    """
    if out.is_dir():
        raise SpecError(f"'{out}' is a folder; name the file to write")
    folder = model_folder(checkpoint, root)
    stored = require_vectors(folder)
    if out.resolve() == (folder / VECTORS).resolve():
        raise SpecError(f"'{out}' is the checkpoint's own vector set; name another file")
    require_free([out], replace)
    writable_folder(out.parent)
    with whole_file(out) as partial:
        shutil.copyfile(folder / VECTORS, partial)
    return stored


def svf_fold(checkpoint: str, step: int | None, out: Path, root: Path) -> StudentCard:
    """Write a plain checkpoint of a step from the bases and its vectors, with the step's own ASPP and classifiers.

    Args:
        step: one of the steps from that of the bases to that of the checkpoint; None for the checkpoint's own.

    Raises SpecError for any other step and for a folder that exists, FormatError when vectors and checkpoint disagree.
    """
    if out.exists():
        raise SpecError(f"'{out}' exists already; name a folder that does not")
    store = Store(root)
    folder = model_folder(checkpoint, store.root)
    stored = require_vectors(folder)
    folder = _folder_of(step, folder, stored, store)
    writable_folder(out.parent)
    model, card = load_student(folder)
    sets = open_sets(stored, store)
    if card.step not in sets.steps:
        sets.add(card.step, require_vectors(folder).vectors)
    backbone = sets.fold(card.step)
    _require_same(backbone, model.backbone, folder)
    model.backbone = backbone
    with whole_file(out) as partial:
        partial.mkdir(exist_ok=True)
        save_model(model.state_dict(), card, partial)
    return card


def open_sets(stored: StoredVectors, store: Store) -> VectorSets:
    """The bases with the vectors' layers decomposed; the step of the bases is the first."""
    bases = load_bases(stored, store)
    return VectorSets(bases, tuple(stored.vectors), _step_of(bases_folder(stored, store)))


def _folder_of(step: int | None, folder: Path, stored: StoredVectors, store: Store) -> Path:
    """Folder of an earlier step of the same chain: back from one checkpoint to the one before, as far as the bases."""
    bases, found = bases_folder(stored, store), {_step_of(folder): folder}
    if step is None or step in found:
        return folder
    found[_step_of(bases)] = bases
    while step not in found:
        previous = read_manifest(folder).parents.get("previous", stored.checkpoint)
        folder = store.path("checkpoints", previous)
        if folder == bases or folder in found.values():
            known = ", ".join(map(str, sorted(found)))
            raise SpecError(f"the checkpoint's vectors know no step {step}; they know the steps {known}")
        found[_step_of(folder)] = folder
    return found[step]


def _step_of(folder: Path) -> int:
    return load_card(folder, StudentCard).step


def _require_same(folded: nn.Module, own: nn.Module, folder: Path) -> None:
    """Raise FormatError when a folded weight is not that of the checkpoint."""
    theirs = own.state_dict()
    for name, value in folded.state_dict().items():
        wanted = theirs[name].float() if name in theirs else value.new_empty(0)
        same = wanted.shape == value.shape
        if not (same and float((value.float() - wanted).norm()) <= TOLERANCE * float(wanted.norm())):  # nor for NaN
            raise FormatError(
                f"'{name}', folded from the vectors of '{folder}', is not the checkpoint's own weight; delete that "
                "checkpoint and run its step again"
            )
