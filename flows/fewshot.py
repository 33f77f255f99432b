"""Flows of few-shot segmentation: train a head, score it, compare heads."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from prefect import flow

from flows.begin import begin
from flows.names import run_name
from flows.stages import Seconds, stage, timed
from flows.summary import comparison_ended, ended, fewshot_ended, nothing_to_do
from flows.telling import told
from stores.artefacts import ArtefactRef
from stores.fewshot_reports import ScoredModel, standing_fewshot_report
from stores.models.shapes_file import path_in
from stores.plans.fewshot import SCORING, SPLITS, TRAINING
from stores.plans.fewshot_run import FewShotRun
from stores.plans.plan import require_stages
from stores.progress import say
from tasks.fewshot import fewshot_scores, frozen_episodes, image_areas, prepare_fewshot
from tasks.fewshot_report import write_fewshot_comparison, write_fewshot_report
from tasks.fewshot_train import export_shapes, fewshot_head, shapes_net, stage1_net
from wilss.data.source import Split
from wilss.fewshot.grid import FewShotGrid
from wilss.fewshot.shipped import shapes_training
from wilss.fewshot.spec import FewShotSpec
from wilss.report.fewshot_records import FewShotComparisonReport, FewShotReport
from wilss.settings import Settings

EVERYTHING = (*TRAINING, *SCORING)


@flow(name="few-shot", flow_run_name=run_name, persist_result=False)
@told
def run_fewshot(spec: FewShotSpec, settings: Settings | None = None) -> dict[str, Any]:
    """Train a few-shot head, score it on frozen episodes and write the report; what is complete is found, not redone.

    Args:
        spec: at least ``{"benchmark": NAME, "fold": N}``; the rest comes from the preset.
        settings: facts of the machine that were set; the others come from ``WILSS_*`` of the worker.

    Returns:
        The content of ``fewshot.json``.
    """
    run = _open(spec, settings, EVERYTHING)

    def whole() -> FewShotReport:
        seconds: Seconds = {}
        _prepare(run, EVERYTHING, seconds)
        return _report(run, score_stages(run, train_stages(run, seconds), seconds), seconds)

    return fewshot_ended(run, run.session.mending([run.plan], whole))


@flow(name="few-shot-train", flow_run_name=run_name, persist_result=False)
@told
def run_fewshot_training(spec: FewShotSpec, settings: Settings | None = None) -> dict[str, Any]:
    """Train a few-shot head, and the stage before it where it needs one.

    Returns:
        Kind and digest of the model.
    """
    run = _open(spec, settings, TRAINING)

    def trained() -> ArtefactRef:
        seconds: Seconds = {}
        _prepare(run, TRAINING, seconds)
        return train_stages(run, seconds)

    stands = run.session.standing(run.plan["head"]) is not None
    model = run.session.mending([run.plan], trained)
    told_of = f"model {model.digest[:12]}"
    if stands:
        return nothing_to_do(f"{told_of} stands", model.model_dump())
    return ended(run.session, told_of, model.model_dump())


@flow(name="few-shot-eval", flow_run_name=run_name, persist_result=False)
@told
def run_fewshot_scoring(spec: FewShotSpec, settings: Settings | None = None) -> dict[str, Any]:
    """Score a trained head on frozen episodes; raises ArtefactNotFoundError when it has not been trained.

    Returns:
        The content of ``fewshot.json``.
    """
    run = _open(spec, settings, SCORING)

    def scored() -> FewShotReport:
        seconds: Seconds = {}
        _prepare(run, SCORING, seconds)
        return _report(run, score_stages(run, run.require("head"), seconds), seconds)

    return fewshot_ended(run, run.session.mending([run.plan], scored))


@flow(name="few-shot-compare", flow_run_name=run_name, persist_result=False)
@told
def run_fewshot_comparison(grid: FewShotGrid, settings: Settings | None = None) -> dict[str, Any]:
    """Train and score every cell of a grid on the same episodes, then write one table.

    Args:
        grid: at least ``{"run": {"benchmark": NAME}}``.
        settings: facts of the machine that were set; the others come from ``WILSS_*`` of the worker.

    Returns:
        The content of ``compare.json``.
    """
    cells = list(grid.cells())
    session = begin({cell.name: cell.spec for cell in cells}, settings)
    session.several = True
    runs = [FewShotRun(cell.spec, session) for cell in cells]
    require_stages(session.settings.again, [name for run in runs for name in run.plan.stages])

    def whole() -> FewShotComparisonReport:
        # what a cell cannot do is said before any is trained; tunings and seeds of a head have the same data
        missing = [run for run in runs if not run.stands(EVERYTHING)]
        for run in {(run.spec.fold, run.spec.shots, run.spec.head): run for run in missing}.values():
            _prepare(run, EVERYTHING, {})
        models, reports = [], []
        for number, (cell, run) in enumerate(zip(cells, runs, strict=True), start=1):
            say(f"model {number} of {len(cells)}: {cell.name}, fold {cell.spec.fold}, seed {cell.spec.seed}")
            seconds: Seconds = {}
            models.append(score_stages(run, train_stages(run, seconds), seconds))
            reports.append(_report(run, models[-1], seconds))
        return write_fewshot_comparison(grid, runs, models, reports)

    return comparison_ended(session, session.mending([run.plan for run in runs], whole))


@flow(name="few-shot-pretrain", flow_run_name=run_name, persist_result=False)
@told
def run_shapes_pretraining(
    shapes: dict[str, Any] | None = None, settings: Settings | None = None, out: Path | None = None
) -> str:
    """Train the network over random silhouettes anew and write it as the shipped file is; returns the file's path.

    Args:
        shapes: settings of `wilss.fewshot.sections.ShapesSpec` that differ from the preset ``demo``.
        out: folder of the file; None chooses one under the root by the settings.
    """
    run = FewShotRun(shapes_training(shapes or {}), begin({}, settings))
    require_stages(run.settings.again, ("all", "shapes"))
    recipe = run.plan["silhouettes"].recipe.digest
    path = path_in(out or run.settings.root / "pretrained" / f"shapes-{recipe[:12]}", recipe)
    if not path.is_file():
        run.session.mending(
            [run.plan], lambda: export_shapes(run, stage(run, {}, "silhouettes", lambda: shapes_net(run), False), path)
        )
    return str(path)


def train_stages(run: FewShotRun, seconds: Seconds) -> ArtefactRef:
    """Silhouettes and stage 1 where they are asked for, head."""
    shapes = stage1 = None
    if "silhouettes" in run.plan:
        shapes = stage(run, seconds, "silhouettes", lambda: shapes_net(run))
    if "stage 1" in run.plan:
        stage1 = stage(run, seconds, "stage 1", lambda: stage1_net(run, shapes))
    return stage(run, seconds, "head", lambda: fewshot_head(run, shapes, stage1))


def score_stages(run: FewShotRun, head: ArtefactRef, seconds: Seconds) -> ScoredModel:
    """Episodes, scores on novel and on base classes."""
    episodes = {split: _episodes(run, split, seconds) for split in SPLITS}
    return ScoredModel(head, episodes, {split: _scores(run, split, head, episodes[split], seconds) for split in SPLITS})


def _episodes(run: FewShotRun, split: Split, seconds: Seconds) -> ArtefactRef:
    return stage(run, seconds, f"episodes {split}", lambda: frozen_episodes(run, split))


def _scores(run: FewShotRun, split: Split, head: ArtefactRef, episodes: ArtefactRef, seconds: Seconds) -> ArtefactRef:
    return stage(run, seconds, f"scores {split}", lambda: fewshot_scores(run, split, head, episodes))


def _open(spec: FewShotSpec, settings: Settings | None, stages: Collection[str]) -> FewShotRun:
    """Open a run of which these stages may be made anew."""
    run = FewShotRun(spec, begin({spec.head: spec}, settings))
    require_stages(run.settings.again, [name for name in run.plan.stages if name in ("all", *stages)])
    return run


def _prepare(run: FewShotRun, stages: Collection[str], seconds: Seconds) -> None:
    """Look over the data before anything is trained; where nothing is to be made, nothing reads them."""
    if run.stands(stages):
        return
    with timed(seconds, "lists"):
        for split in SPLITS:
            if f"areas {split}" in run.plan:
                _areas(run, split)
        prepare_fewshot(run)


def _areas(run: FewShotRun, split: Split) -> ArtefactRef:
    """Objects in the images of a split, which the runs of a comparison share."""
    node = run.plan[f"areas {split}"]
    return run.session.once(("stage", node.recipe.digest), lambda: run.session.found(node) or image_areas(run, split))


def _report(run: FewShotRun, model: ScoredModel, seconds: Seconds) -> FewShotReport:
    """The report of what stands, if there is one already, else a new one."""
    return standing_fewshot_report(run) or write_fewshot_report(run, model, seconds)
