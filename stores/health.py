"""What the health of a run is judged by, gathered from what is stored of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stores.evaluations import class_shares, read_counts
from stores.labels.mend import read_mended
from stores.labels.sets import LabelSet
from stores.manifests import read_manifest
from stores.plans.run import Run
from wilss.learn.schedule import iterations_of
from wilss.models.card import StudentCard, load_card
from wilss.report.health import COVERS, MaskVitals, StepVitals, health_of
from wilss.report.records import HealthNote
from wilss.state import HELD_OUT, History


def run_health(run: Run, last_step: int) -> tuple[HealthNote, ...]:
    """What is wrong with a run up to a step, whose artefacts are all in the store."""
    return health_of([_vitals(run, step) for step in range(run.first_step, last_step + 1)])


def _vitals(run: Run, step: int) -> StepVitals:
    counts = read_counts(run.store.folder(run.require(run.node("evaluation", step))))
    matrix, names = counts.tables["full"], ("background", *counts.classes)
    seen, truth = [sum(column) for column in zip(*matrix, strict=True)], [sum(row) for row in matrix]
    first = step == run.first_step
    taught = run.names(run.protocol.seen(step) if first else run.protocol.steps[step])
    iterations, losses = (0, []) if run.given and first else _training(run, step)
    return StepVitals(
        step=step,
        iou=class_shares(counts),
        predicted={name: seen[k] / truth[k] for k, name in enumerate(names) if truth[k]},
        taught=taught,
        iterations=iterations,
        losses=losses,
        masks={} if first else _masks(run, step),
        taken={name: found for name in taught if (found := taken_for(matrix, names, names.index(name)))},
    )


def taken_for(matrix: Sequence[Sequence[int]], names: Sequence[str], at: int) -> tuple[str, float] | None:
    """The other class, not background, that gets most of a class's pixels, and their share; None without pixels."""
    row = matrix[at]
    others = [k for k in range(1, len(names)) if k != at]
    if not sum(row) or not others:
        return None
    most = max(others, key=lambda k: row[k])
    return names[most], row[most] / sum(row)


def _training(run: Run, step: int) -> tuple[int, list[float]]:
    """Iterations of the training of a student, 0 for one that was taken over, and its losses."""
    folder = run.store.folder(run.require(run.node("checkpoint", step)))
    history, images = load_card(folder, StudentCard).history, read_manifest(folder).counts.get("images", 0)
    spec = run.spec.step if step else run.ingredients.base_training
    return iterations_of(images, spec) * len(history) // spec.epochs if images else 0, losses_of(history)


def losses_of(history: History) -> list[float]:
    """The sum of the losses by epoch, as far as they say whether more training would help.

    A method's epochs of warm-up, which lack terms, are left out. A training that was scored on held-out images has
    none: its best epoch was taken, whatever its losses might have come to.
    """
    if any(HELD_OUT in epoch for epoch in history):
        return []
    return [sum(epoch.values()) for epoch in history if epoch.keys() == history[-1].keys()]


def _masks(run: Run, step: int) -> dict[str, MaskVitals]:
    """By class, of the label set that the step learnt from; nothing for a method that takes none."""
    labels = run.labels_of(step)
    return {} if labels is None else read_mended(run, step, labels, masks_by_class)


def masks_by_class(labels: LabelSet) -> dict[str, MaskVitals]:
    """What is looked at of every class's masks; nothing for a set of an older format, which keeps no numbers."""
    area, channels = labels.quality.get("area"), labels.index.pairs[1]
    if area is None:
        return {}
    own = {name: area[channels == channel] for channel, name in enumerate(labels.index.classes)}
    return {name: MaskVitals(len(one), _share(one == 0), _share(one >= COVERS)) for name, one in own.items()}


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if len(hits) else 0.0
