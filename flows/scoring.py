"""Scoring a student: in this process as one task, or in parts on Dask's workers, whose counts add up to the same."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from prefect.futures import PrefectFuture

from flows.runners import Shown, SideBySide, has_workers, parts_of, side_by_side
from stores.artefacts import ArtefactRef
from stores.guard_scores import Scored
from stores.plans.run import Run
from tasks.evaluate import evaluation
from tasks.gate import guard_scores
from tasks.score import ScoreList, image_shapes, scored_part
from wilss.data.images import MaskedImages, by_shape
from wilss.measure.score import BATCH
from wilss.models.card import StudentCard, load_card

PART = 8 * BATCH
"""Images of a part, or a few more."""
Counts = list[PrefectFuture[Any]]


def evaluated(run: Run, step: int, student: ArtefactRef) -> ArtefactRef:
    """The evaluation of the student of a step."""
    if not has_workers(run.settings) or not run.source.ids("eval"):
        return evaluation(run, step, student)
    node, start = run.node("evaluation", step), time.monotonic()
    with run.session.alone(node.recipe):
        if found := run.session.found(node):  # made by another process meanwhile
            return found
        counts = _counted(run, _lists(run, step, student), f"evaluate step {step}")
        return evaluation(run, step, student, counts, time.monotonic() - start)


def scored_on(run: Run, scored: Scored) -> ArtefactRef:
    """The scores of a stored student on the images of a guard set, or on others of a run's data."""
    if not has_workers(run.settings):
        return guard_scores(scored)
    start = time.monotonic()
    with run.session.alone(scored.node.recipe):
        if run.session.standing(scored.node):
            return guard_scores(scored)
        card = load_card(run.store.folder(scored.student), StudentCard)
        classes = tuple(range(1, len(run.source.classes) + 1))
        own = _list("full", scored.student, None, classes, scored.data, scored.masked(card))
        counts = _counted(run, [replace(own, images=tuple(scored.images))], f"score on {scored.title}")
        return guard_scores(scored, counts, time.monotonic() - start)


def _lists(run: Run, step: int, student: ArtefactRef) -> Iterator[ScoreList]:
    """What `tasks.evaluate.evaluation` scores, in its order."""
    seen, names = run.protocol.seen(step), run.class_names(step)
    for part in ("", *run.source.further_eval):
        data = run.lists.evaluation(step, run.spec.data.canvas, part)
        own, name = run.source.fingerprint_of(data.images.ids, seen), f"{part} " if part else ""
        full = replace(_list(f"{name}full", student, names, seen, own, data), part=part)
        yield full
        if crop := run.spec.data.eval_crop:
            yield replace(full, name=f"{name}crop", crop=crop)


def _list(
    name: str,
    student: ArtefactRef,
    names: tuple[str, ...] | None,
    classes: tuple[int, ...],
    data: str,
    masked: MaskedImages,
) -> ScoreList:
    return ScoreList(name, student, names, classes, data, masked.images.canvas, masked.channels)


def _counted(run: Run, lists: Iterator[ScoreList] | Sequence[ScoreList], title: str) -> Counts:
    """The task runs that count the parts of lists, all of which have ended."""
    counts: Counts = []
    with side_by_side(run, run.store.root) as workers:
        for of in lists:
            batches = _crops(of.ids(run.source)) if of.crop else _batches(workers, of, of.ids(run.source), title)
            parts = _parts(batches)
            images = [sum(map(len, part)) for part in parts]
            each = {"batches": parts, "part": range(len(parts))}
            counts += workers.map(scored_part, {"of": of}, each, Shown(f"{title}, {of.name}", "evaluate", images))
    return counts


def _batches(workers: SideBySide, of: ScoreList, ids: Sequence[str], title: str) -> list[list[str]]:
    """The batches that one process would make of all images, so that every image is scored among the same ones."""
    images = parts_of(len(ids), PART)
    each = {"ids": [ids[k * PART : (k + 1) * PART] for k in range(len(images))], "part": range(len(images))}
    ended = workers.map(image_shapes, {"of": of}, each, Shown(f"{title}, sizes", "look", images))
    shapes = [tuple(shape) for future in ended for shape in future.result()]
    return [[ids[position] for position in batch] for batch in by_shape(enumerate(shapes), BATCH)]


def _crops(ids: Sequence[str]) -> list[list[str]]:
    return [list(ids[start : start + BATCH]) for start in range(0, len(ids), BATCH)]


def _parts(batches: Sequence[list[str]]) -> list[list[list[str]]]:
    """Batches in parts of about `PART` images; one part at least, so that no image counts nothing."""
    parts: list[list[list[str]]] = [[]]
    for batch in batches:
        if sum(map(len, parts[-1])) >= PART:
            parts.append([])
        parts[-1].append(batch)
    return parts
