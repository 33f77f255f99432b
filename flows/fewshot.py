"""Flows of few-shot segmentation: train a head, score it, compare heads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from prefect import flow

from flows.machine import machine_settings
from flows.stages import Seconds, timed
from stores.progress import say
from tasks.again import FEWSHOT_SCORING, FEWSHOT_TRAINING, require_stages
from tasks.fewshot import SPLITS, fewshot_head, fewshot_scores, frozen_episodes, prepare_fewshot
from tasks.fewshot_report import write_fewshot_comparison, write_fewshot_report
from tasks.fewshot_stage1 import shapes_net, stage1_net
from tasks.fewshot_workspace import forget_fewshot
from tasks.prepare import say_settings
from tasks.shapes_file import export_shapes, shapes_path
from tasks.workspace import forget_data
from wilss.fewshot.grid import FewShotGrid
from wilss.fewshot.shipped import shapes_training
from wilss.fewshot.spec import FewShotSpec
from wilss.spec import Settings


@flow(name="few-shot", persist_result=False)
def run_fewshot(spec: FewShotSpec, settings: Settings | None = None) -> dict[str, Any]:
    """Train a few-shot head, score it on frozen episodes and write the report; what is complete is found, not redone.

    Args:
        spec: at least ``{"benchmark": NAME, "fold": N}``; the rest comes from the preset.
        settings: facts of the machine; None reads the ``WILSS_*`` environment variables.

    Returns:
        The content of ``fewshot.json``.
    """
    settings = _begin({spec.head: spec}, settings, FEWSHOT_TRAINING + FEWSHOT_SCORING)
    seconds: Seconds = {}
    train_stages(spec, settings, seconds)
    return score_stages(spec, settings, seconds)


@flow(name="few-shot-train", persist_result=False)
def run_fewshot_training(spec: FewShotSpec, settings: Settings | None = None) -> dict[str, Any]:
    """Train a few-shot head, and the stage before it where it needs one.

    Returns:
        Kind and digest of the model.
    """
    settings = _begin({spec.head: spec}, settings, FEWSHOT_TRAINING)
    seconds: Seconds = {}
    return train_stages(spec, settings, seconds)


@flow(name="few-shot-eval", persist_result=False)
def run_fewshot_scoring(spec: FewShotSpec, settings: Settings | None = None) -> dict[str, Any]:
    """Score a trained head on frozen episodes; raises ArtefactNotFoundError when it has not been trained.

    Returns:
        The content of ``fewshot.json``.
    """
    settings = _begin({spec.head: spec}, settings, FEWSHOT_SCORING)
    seconds: Seconds = {}
    with timed(seconds, "lists"):
        prepare_fewshot(spec, settings)
    return score_stages(spec, settings, seconds)


@flow(name="few-shot-compare", persist_result=False)
def run_fewshot_comparison(grid: FewShotGrid, settings: Settings | None = None) -> dict[str, Any]:
    """Train and score every cell of a grid on the same episodes, then write one table.

    Args:
        grid: at least ``{"run": {"benchmark": NAME}}``.

    Returns:
        The content of ``compare.json``.
    """
    cells = list(grid.cells())
    settings = _begin({cell.name: cell.spec for cell in cells}, settings, FEWSHOT_TRAINING + FEWSHOT_SCORING)
    # what a cell cannot do is said before any is trained; tunings and seeds of a head have the same data
    for spec in {(c.spec.fold, c.spec.shots, c.spec.head): c.spec for c in cells}.values():
        prepare_fewshot(spec, settings)
    reports = []
    for number, cell in enumerate(cells, start=1):
        say(f"model {number} of {len(cells)}: {cell.name}, fold {cell.spec.fold}, seed {cell.spec.seed}")
        seconds: Seconds = {}
        train_stages(cell.spec, settings, seconds)
        reports.append(score_stages(cell.spec, settings, seconds))
    return write_fewshot_comparison(grid, settings, reports)


@flow(name="few-shot-pretrain", persist_result=False)
def run_shapes_pretraining(
    shapes: dict[str, Any] | None = None, settings: Settings | None = None, out: Path | None = None
) -> str:
    """Train the network over random silhouettes anew and write it as the shipped file is; returns the file's path.

    Args:
        shapes: settings of `wilss.fewshot.spec.ShapesSpec` that differ from the preset ``demo``.
        out: folder of the file; None chooses one under the root by the settings.
    """
    spec = shapes_training(shapes or {})
    settings = _begin({}, settings, FEWSHOT_TRAINING)
    path = shapes_path(spec, settings, out)
    if not path.is_file():
        shapes_net(spec, settings)
        export_shapes(spec, settings, path)
    return str(path)


def train_stages(spec: FewShotSpec, settings: Settings, seconds: Seconds) -> dict[str, Any]:
    """Lists, silhouettes and stage 1 where they are asked for, head."""
    with timed(seconds, "lists"):
        prepare_fewshot(spec, settings)
    if spec.shapes is not None:
        with timed(seconds, "silhouettes"):
            shapes_net(spec, settings)
    if spec.needs_stage1:
        with timed(seconds, "stage 1"):
            stage1_net(spec, settings)
    with timed(seconds, "head"):
        return fewshot_head(spec, settings).model_dump()


def score_stages(spec: FewShotSpec, settings: Settings, seconds: Seconds) -> dict[str, Any]:
    """Episodes, scores on novel and on base classes, report."""
    with timed(seconds, "scores"):
        for split in SPLITS:
            frozen_episodes(spec, settings, split)
            fewshot_scores(spec, settings, split)
    return write_fewshot_report(spec, settings, seconds)


def _begin(specs: Mapping[str, FewShotSpec], settings: Settings | None, stages: Collection[str]) -> Settings:
    """Forget what other flows have opened, and say what is about to run; ``stages``: those that may be made again."""
    forget_data()
    forget_fewshot()
    settings = settings or machine_settings()
    require_stages(settings.again, stages)
    say_settings(specs, settings)
    return settings
