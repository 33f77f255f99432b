"""Few-shot trainings: random silhouettes, stage 1 on the base classes of a fold, head; each leaves model and card."""

from __future__ import annotations

from pathlib import Path

import torch

from stores.artefacts import ArtefactRef
from stores.models.fewshot import card_of, untrained_model, untrained_stage1
from stores.models.fewshot_draws import (
    Draws,
    draw_base_classes,
    draw_silhouettes,
    draw_training_episodes,
    with_silhouettes,
)
from stores.models.training import STATE
from stores.plans.fewshot_run import FewShotRun
from stores.plans.plan import Node
from wilss.fewshot.build import build_shapes
from wilss.fewshot.episodic import train_episodic
from wilss.fewshot.model import trained_state
from wilss.fewshot.psp import PspNet
from wilss.fewshot.sections import PspTrainSpec
from wilss.fewshot.stage1 import train_stage1
from wilss.learn.base import MaskedBatch
from wilss.learn.loop import Watch
from wilss.models.files import save_model
from wilss.parallel.ranks import here
from wilss.progress import Progress


def learn_shapes(run: FewShotRun, folder: Path, progress: Progress) -> int:
    """Train the backbone on scenes of random silhouettes; returns how many there are."""
    shapes = run.spec.shapes
    assert shapes is not None
    draws = draw_silhouettes(run)
    torch.manual_seed(shapes.seed)
    model = build_shapes(run.spec, run.weights)
    return _learn_psp(run, run.plan["silhouettes"], model, draws, shapes.train, folder, progress)


def learn_stage1(run: FewShotRun, folder: Path, progress: Progress, shapes: ArtefactRef | None) -> int:
    """Train the PSPNet of the fold's base classes; returns how many images it learnt from."""
    draws = draw_base_classes(run)
    torch.manual_seed(run.spec.seed)
    model = untrained_stage1(run, shapes)
    return _learn_psp(run, run.plan["stage 1"], model, draws, run.spec.stage1, folder, progress)


def _learn_psp(
    run: FewShotRun,
    node: Node,
    model: PspNet,
    draws: Draws[MaskedBatch],
    spec: PspTrainSpec,
    folder: Path,
    progress: Progress,
) -> int:
    watch = Watch(node.title, progress, folder / STATE)
    history = train_stage1(model.to(run.device), draws.draw, draws.ids, spec, draws.generator, watch)
    if here().rank == 0:
        save_model(model.state_dict(), card_of(run, node, history), folder)
    return len(draws.ids)


def learn_head(
    run: FewShotRun, folder: Path, progress: Progress, shapes: ArtefactRef | None, stage1: ArtefactRef | None
) -> int:
    """Train a head over episodes of the base classes; returns how many images they are drawn from."""
    spec = run.spec
    torch.manual_seed(spec.seed)
    model = untrained_model(run, shapes, stage1).to(run.device)
    draws = with_silhouettes(run, draw_training_episodes(run))
    watch = Watch(run.fold.describe(), progress, folder / STATE)
    history = train_episodic(model, draws.draw, draws.ids, spec.train, draws.generator, watch)
    if here().rank == 0:
        save_model(trained_state(model, spec.train.tuning), card_of(run, run.plan["head"], history), folder)
    return len(run.lists("train").images)
