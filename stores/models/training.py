"""What the training of a student leaves: its state while it runs, the last good one when it breaks off, its commit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stores.artefacts import Manifest
from stores.models.files import ModelNotes, publish_model
from stores.plans.run import Run
from wilss.errors import TrainingError
from wilss.models.card import StudentCard
from wilss.models.files import input_of, save_model
from wilss.state import History, last_good

STATE = "training.pt"
"""Training state in the staging folder: a run that was stopped goes on after its last finished epoch."""
LAST_GOOD = "last-good"


@contextmanager
def keep_last_good(run: Run, step: int, folder: Path) -> Iterator[None]:
    """When training breaks off, leave the student of the last finite epoch as a checkpoint and say where."""
    try:
        yield
    except TrainingError as error:
        kept = last_good(folder / STATE)
        if kept is None:
            raise TrainingError(f"{error}. No epoch had been finished, so there is nothing to keep") from error
        weights, history = kept
        (folder / LAST_GOOD).mkdir(exist_ok=True)
        save_model(weights, card_of(run, step, history), folder / LAST_GOOD)
        raise TrainingError(
            f"{error}. The student of epoch {len(history)} is kept in '{folder / LAST_GOOD}' (wilss predict takes it)"
        ) from error


def publish_student(run: Run, step: int, folder: Path, images: int, notes: ModelNotes) -> Manifest:
    """Commit a checkpoint; what only a resumed training needs goes."""
    (folder / STATE).unlink(missing_ok=True)
    shutil.rmtree(folder / LAST_GOOD, ignore_errors=True)
    return publish_model(run.store, run.node("checkpoint", step).recipe, folder, images, notes)


def card_of(run: Run, step: int, history: History) -> StudentCard:
    """The card of the student of a step."""
    return StudentCard(
        input=input_of(run.weights, run.spec.data.canvas),
        benchmark=run.protocol.name,
        step=step,
        architecture=run.spec.student,
        step_sizes=run.protocol.sizes(step),
        classes=run.class_names(step),
        class_ids=run.protocol.seen(step),
        history=history,
        start=run.weights.digest or None,
    )
