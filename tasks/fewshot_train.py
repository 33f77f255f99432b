"""Few-shot trainings: random silhouettes, stage 1 on the base classes of a fold, head."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from stores.artefacts import ArtefactRef, Manifest
from stores.models.fewshot import card_of, publish_network, untrained_model
from stores.models.fewshot_draws import draw_training_episodes
from stores.models.files import ModelNotes
from stores.models.lessons import Lesson, learn
from stores.models.shapes_file import write_shapes
from stores.plans.fewshot_run import FewShotRun
from stores.plans.shapes import shapes_source
from stores.progress import stage_progress
from tasks.base import heavy_task, named
from wilss.fewshot.episodic import fit_threshold
from wilss.fewshot.model import FewShotModel, trained_state
from wilss.fewshot.predict import batch_size
from wilss.models.files import save_model

N_FIT = 200
"""Training episodes on which an untrained head finds its threshold."""


@heavy_task(name="silhouettes", task_run_name=named("silhouettes"))
def shapes_net(run: FewShotRun) -> ArtefactRef:
    """Train the backbone on scenes of random silhouettes, or take what is shipped where it has the same recipe."""
    node, shapes, shipped = run.plan["silhouettes"], run.spec.shapes, run.shipped
    assert shapes is not None

    def take(folder: Path) -> Manifest:
        if shipped is None:
            return _train(run, Lesson(kind="silhouettes", node=node.name, folder=folder), node.title)
        images, notes = len(shapes_source(run.session, shapes).ids("train")), ModelNotes(start=shipped.path.name)
        card = card_of(run, node, shipped.history).model_copy(update={"licence": shipped.licence})
        save_model(shipped.state, card, folder)
        return publish_network(run, node, images, folder, notes)

    return run.session.obtain(node, take)


def _train(run: FewShotRun, lesson: Lesson, title: str) -> Manifest:
    start = time.monotonic()
    with stage_progress(title) as progress:
        images = learn(run, lesson, progress)
    notes = ModelNotes(seconds=time.monotonic() - start)
    return publish_network(run, run.plan[lesson.node], images, lesson.folder, notes)


@heavy_task(name="stage 1", task_run_name=named("stage 1"))
def stage1_net(run: FewShotRun, shapes: ArtefactRef | None) -> ArtefactRef:
    """Train the PSPNet of the fold's base classes.

    Args:
        shapes: the pretraining on silhouettes; None where there is none.
    """
    node = run.plan["stage 1"]

    def make(folder: Path) -> Manifest:
        lesson = Lesson(kind="stage 1", node=node.name, folder=folder, refs={"shapes": shapes})
        return _train(run, lesson, node.title)

    return run.session.obtain(node, make)


@heavy_task(name="few-shot head", task_run_name=named("few-shot head"))
def fewshot_head(run: FewShotRun, shapes: ArtefactRef | None, stage1: ArtefactRef | None) -> ArtefactRef:
    """Train a head over episodes of the base classes; an untrained baseline finds its threshold on them.

    Args:
        shapes: the pretraining on silhouettes. stage1: the PSPNet of the base classes; None where there is none.
    """
    node, spec = run.plan["head"], run.spec

    def make(folder: Path) -> Manifest:
        if not spec.is_trained:
            return _fit(run, shapes, stage1, folder)
        lesson = Lesson(kind="head", node=node.name, folder=folder, refs={"shapes": shapes, "stage1": stage1})
        return _train(run, lesson, f"{spec.head} ({spec.train.tuning})")

    return run.session.obtain(node, make)


def _fit(run: FewShotRun, shapes: ArtefactRef | None, stage1: ArtefactRef | None, folder: Path) -> Manifest:
    start, node = time.monotonic(), run.plan["head"]
    torch.manual_seed(run.spec.seed)
    model = untrained_model(run, shapes, stage1).to(run.device)
    _fit_baseline(run, model)
    save_model(trained_state(model, "frozen"), card_of(run, node, []), folder)
    notes = ModelNotes(seconds=time.monotonic() - start)
    return publish_network(run, node, len(run.lists("train").images), folder, notes)


def _fit_baseline(run: FewShotRun, model: FewShotModel) -> None:
    draws = draw_training_episodes(run)
    queries = torch.randperm(len(draws.ids), generator=draws.generator)[:N_FIT]
    fit_threshold(model, (draws.draw(part.tolist()) for part in queries.split(batch_size(run.spec.shots))))


@heavy_task(name="file of silhouettes")
def export_shapes(run: FewShotRun, shapes: ArtefactRef, path: Path) -> Path:
    """Write the network over silhouettes as it is shipped."""
    write_shapes(run.plan["silhouettes"].recipe, run.store.folder(shapes), path)
    return path
