"""Mending label sets: damaged shards are made anew, the others stay."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from stores.artefacts import ArtefactRef, Manifest, Store, read_manifest
from stores.labels.building import index_of, write_shard
from stores.labels.card import LabelCard
from stores.labels.frame import GROUP, frame_files, write_frame
from stores.labels.rows import SparseRows
from stores.labels.sets import LabelSet
from stores.labels.writer import LabelWriter
from stores.plans.run import Run
from stores.plans.session import Session
from stores.progress import stage_progress
from wilss.damage import advice, mark_of, require_file, seal_of
from wilss.errors import ArtefactNotFoundError, DamagedArtefactError, WilssError
from wilss.layout import MANIFEST
from wilss.outputs import whole_file
from wilss.outside import checked
from wilss.settings import Settings
from wilss.spec import make_spec

T = TypeVar("T")


def read_mended(run: Run, step: int, ref: ArtefactRef, read: Callable[[LabelSet], T]) -> T:
    """What ``read`` makes of a label set; damage that it meets is said and mended, and it reads again.

    Raises DamagedArtefactError for a set that this run does not make itself.
    """
    folder = run.store.folder(ref)
    try:
        return read(LabelSet.open(folder))
    except DamagedArtefactError as damage:
        if run.store.folders.heal(folder):
            return read(LabelSet.open(folder))
        if not _is_made_by(run, step, ref.digest):
            raise
        run.session.say(f"{damage.fault}; what is damaged is made anew")
        with run.session.alone(run.node("labels", step).recipe):
            mend(run, step)
        return read(LabelSet.open(run.store.folder(ref)))


def mend_stored(manifest: Manifest, settings: Settings) -> int:
    """Mend a label set by what its card says of the run that made it; returns how many shards were made anew.

    Raises DamagedArtefactError for one that is a teacher's, a child, or not what such a run would make today, also
    where its photographs or models are not at hand.
    """
    fault, cure = f"label set {manifest.digest[:12]} cannot be made anew from its images", "make or import it again"
    if manifest.recipe.get("stage") == "review":
        cure = f"apply the review again: wilss labels apply {manifest.parents.get('parent', 'SET')[:12]}"
    if "teacher" in manifest.parents:
        cure = "run its benchmark with --again step"
    try:
        run, step = _run_of(manifest, settings)
        if _is_made_by(run, step, manifest.digest):
            with run.session.alone(run.node("labels", step).recipe):
                return mend(run, step)
    except DamagedArtefactError:
        raise
    except WilssError as error:
        fault = f"{fault} ({error})"
    raise DamagedArtefactError(fault, cure, Store(settings.root).path("labels", manifest.digest))


def is_damaged(run: Run, step: int) -> bool:
    """Whether the label set of a step is published, and not all of its files are there in their size."""
    node = run.node("labels", step)
    if node.is_in(run.settings.again):
        return False
    try:
        run.store.find(node.recipe)
    except DamagedArtefactError as damage:
        return damage.file != MANIFEST
    return False


def mend(run: Run, step: int) -> int:
    """Make the damaged shards of the label set of a step anew, in its published folder; returns how many.

    A set of format 1 is labelled as a whole. Only who is alone with the set (`Session.alone`) may call it. Raises
    DamagedArtefactError where something is damaged still.
    """
    folder, index = (
        run.store.path("labels", run.node("labels", step).recipe.digest),
        index_of(run, step, run.tagged(step)),
    )
    if run.store.folders.heal(folder):
        return 0
    _clear_folders(folder)
    with stage_progress(f"labels of step {step}, mended") as progress:
        if not _is_framed(folder):
            if not (folder / GROUP / "image").is_dir():
                shutil.rmtree(folder / GROUP, ignore_errors=True)
            write_frame(folder, index)
            _remark(folder, frame_files(index))
        damaged, writer = list(LabelSet.open(folder).stored.damage()), LabelWriter(folder)
        for shard in damaged:
            writer.redo(shard)
            write_shard(run, step, writer, shard, progress)
            _remark(folder, writer.files(shard))
        for lock in folder.parent.glob(f"{folder.name}.*.lock"):
            lock.unlink(missing_ok=True)
        marks = read_manifest(folder).files
        for name in marks:
            require_file(folder, marks, name)
        run.store.folders.recommit("labels", folder.name, folder)
        return len(damaged)


def _clear_folders(folder: Path) -> None:
    """Remove folders that lie where files should."""
    for name in read_manifest(folder).files:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)


def _is_framed(folder: Path) -> bool:
    """Whether a set of format 2 can be opened."""
    try:
        return isinstance(LabelSet.open(folder).stored, SparseRows)
    except (DamagedArtefactError, ArtefactNotFoundError):
        return False


def _remark(folder: Path, names: Iterable[str]) -> None:
    """Have the manifest list these files as they are now: a labelling may differ from an earlier one by rounding."""
    manifest = read_manifest(folder)
    kept = {name: mark for name, mark in manifest.files.items() if (folder / name).is_file()}
    files = kept | {name: mark_of(folder / name) for name in names}
    if not manifest.files or files == manifest.files:
        return
    manifest = manifest.model_copy(update={"files": files})
    manifest = manifest.model_copy(update={"seal": seal_of(json.loads(manifest.model_dump_json()))})
    with whole_file(folder / MANIFEST) as partial:
        partial.write_text(manifest.model_dump_json(indent=1))


def _is_made_by(run: Run, step: int, digest: str) -> bool:
    node = run.plan.get(f"labels {step}")
    return node is not None and node.recipe.digest == digest


def _run_of(manifest: Manifest, settings: Settings) -> tuple[Run, int]:
    """The run that made a label set, opened anew with the photographs where they were."""
    folder = settings.root / "labels" / manifest.digest[:2] / manifest.digest
    card = checked(LabelCard, manifest.notes, folder / MANIFEST, advice(folder))
    noted = {"data": card.data_root, "voc": card.voc_root}
    found = {key: path for key, path in noted.items() if path and getattr(settings, key) is None}
    return Run(make_spec(card.spec), Session(settings.model_copy(update=found))), card.step or 0
