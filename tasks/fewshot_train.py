"""Few-shot trainings: random silhouettes, stage 1 on the base classes of a fold, head."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from stores.artefacts import ArtefactRef, Manifest
from stores.models.fewshot import card_of, publish_network, untrained_model, untrained_stage1
from stores.models.fewshot_draws import (
    Draws,
    draw_base_classes,
    draw_silhouettes,
    draw_training_episodes,
    with_silhouettes,
)
from stores.models.files import ModelNotes
from stores.models.shapes_file import write_shapes
from stores.models.training import STATE
from stores.plans.fewshot_run import FewShotRun
from stores.plans.plan import Node
from stores.plans.shapes import shapes_source
from stores.progress import stage_progress
from tasks.base import heavy_task, named
from wilss.fewshot.build import build_shapes
from wilss.fewshot.episodic import fit_threshold, train_episodic
from wilss.fewshot.model import FewShotModel, trained_state
from wilss.fewshot.predict import batch_size
from wilss.fewshot.psp import PspNet
from wilss.fewshot.sections import PspTrainSpec
from wilss.fewshot.stage1 import train_stage1
from wilss.learn.base import MaskedBatch
from wilss.learn.loop import Watch
from wilss.state import History

N_FIT = 200
"""Training episodes on which an untrained head finds its threshold."""


@heavy_task(name="silhouettes", task_run_name=named("silhouettes"))
def shapes_net(run: FewShotRun) -> ArtefactRef:
    """Train the backbone on scenes of random silhouettes, or take what is shipped where it has the same recipe."""
    node, shapes, shipped = run.plan["silhouettes"], run.spec.shapes, run.shipped
    assert shapes is not None

    def take(folder: Path) -> Manifest:
        if shipped is None:
            return train(folder)
        images, notes = len(shapes_source(run.session, shapes).ids("train")), ModelNotes(start=shipped.path.name)
        card = card_of(run, node, shipped.history).model_copy(update={"licence": shipped.licence})
        return publish_network(run, node, shipped.state, card, images, folder, notes)

    def train(folder: Path) -> Manifest:
        draws = draw_silhouettes(run)
        torch.manual_seed(shapes.seed)
        return _train_psp(run, node, build_shapes(run.spec, run.weights), draws, shapes.train, folder)

    return run.session.obtain(node, take)


@heavy_task(name="stage 1", task_run_name=named("stage 1"))
def stage1_net(run: FewShotRun, shapes: ArtefactRef | None) -> ArtefactRef:
    """Train the PSPNet of the fold's base classes.

    Args:
        shapes: the pretraining on silhouettes; None where there is none.
    """
    node = run.plan["stage 1"]

    def make(folder: Path) -> Manifest:
        draws = draw_base_classes(run)
        torch.manual_seed(run.spec.seed)
        return _train_psp(run, node, untrained_stage1(run, shapes), draws, run.spec.stage1, folder)

    return run.session.obtain(node, make)


def _train_psp(
    run: FewShotRun, node: Node, model: PspNet, draws: Draws[MaskedBatch], spec: PspTrainSpec, folder: Path
) -> Manifest:
    start = time.monotonic()
    with stage_progress(node.title) as progress:
        watch = Watch(node.title, progress, folder / STATE)
        history = train_stage1(model.to(run.device), draws.draw, draws.ids, spec, draws.generator, watch)
    notes = ModelNotes(seconds=time.monotonic() - start)
    return publish_network(run, node, model.state_dict(), card_of(run, node, history), len(draws.ids), folder, notes)


@heavy_task(name="few-shot head", task_run_name=named("few-shot head"))
def fewshot_head(run: FewShotRun, shapes: ArtefactRef | None, stage1: ArtefactRef | None) -> ArtefactRef:
    """Train a head over episodes of the base classes; an untrained baseline finds its threshold on them.

    Args:
        shapes: the pretraining on silhouettes. stage1: the PSPNet of the base classes; None where there is none.
    """
    node, spec = run.plan["head"], run.spec

    def make(folder: Path) -> Manifest:
        start = time.monotonic()
        torch.manual_seed(spec.seed)
        model = untrained_model(run, shapes, stage1).to(run.device)
        history = _train_head(run, model, folder) if spec.is_trained else _fit_baseline(run, model)
        state = trained_state(model, spec.train.tuning if spec.is_trained else "frozen")
        card, notes = card_of(run, node, history), ModelNotes(seconds=time.monotonic() - start)
        return publish_network(run, node, state, card, len(run.lists("train").images), folder, notes)

    return run.session.obtain(node, make)


def _train_head(run: FewShotRun, model: FewShotModel, folder: Path) -> History:
    draws = with_silhouettes(run, draw_training_episodes(run))
    with stage_progress(f"{run.spec.head} ({run.spec.train.tuning})") as progress:
        watch = Watch(run.fold.describe(), progress, folder / STATE)
        return train_episodic(model, draws.draw, draws.ids, run.spec.train, draws.generator, watch)


def _fit_baseline(run: FewShotRun, model: FewShotModel) -> History:
    draws = draw_training_episodes(run)
    queries = torch.randperm(len(draws.ids), generator=draws.generator)[:N_FIT]
    fit_threshold(model, (draws.draw(part.tolist()) for part in queries.split(batch_size(run.spec.shots))))
    return []


@heavy_task(name="file of silhouettes")
def export_shapes(run: FewShotRun, shapes: ArtefactRef, path: Path) -> Path:
    """Write the network over silhouettes as it is shipped."""
    write_shapes(run.plan["silhouettes"].recipe, run.store.folder(shapes), path)
    return path
