"""What a command finds instead of starting a flow: the report of a run of which everything stands.

A server and Prefect itself take most of the time of a command that has nothing to do; neither is imported here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stores.artefacts import Store
from stores.plans.given import as_named
from stores.runs import fewshot_folder, run_folder
from wilss.fewshot.spec import FewShotSpec
from wilss.retrain import RetrainSpec
from wilss.settings import Settings
from wilss.spec import RunSpec


def found_run(spec: RunSpec, settings: Settings, step: int | None = None) -> dict[str, Any] | None:
    """The content of ``report.json`` when nothing of a run, or of its steps up to one, is to be made; else None.

    Raises what the run would raise before it makes anything.
    """
    named = as_named(spec, Store(settings.root))  # but for labels; its folder is called after them, too
    if settings.again or not (spec.labels or (run_folder(settings, named) / "report.json").is_file()):
        return None
    from flows.begin import begin
    from stores.plans.run import Run
    from stores.reports import standing_report

    run = Run(spec, begin({spec.method: spec}, settings))
    last_step = run.last_step if step is None else step
    nodes = [node for node in run.plan.values() if not node.optional and node.at <= last_step]
    if (step is not None and not run.learns(step)) or not run.stands(last_step):
        return None
    for node in nodes:
        run.session.found(node)
    report = standing_report(run, last_step)
    return report.model_dump(mode="json") if report else None


def found_retraining(spec: RetrainSpec, settings: Settings) -> dict[str, Any] | None:
    """Why a retraining has nothing to do, as its flow would return it; None where it has."""
    from stores.gates import FOLDER

    if settings.again or not any((settings.root / FOLDER).glob("*.json")):
        return None
    from flows.begin import begin
    from flows.reopened import opened, why_nothing

    why = why_nothing(spec, opened(spec, begin({spec.run.method: spec.run}, settings)))
    return {"outcome": "nothing to do", "reason": why, "alias": spec.alias} if why else None


def found_fewshot(spec: FewShotSpec, settings: Settings) -> dict[str, Any] | None:
    """The content of ``fewshot.json`` when nothing of a scored model is to be made; else None."""
    if not _may_stand(fewshot_folder(settings, spec) / "fewshot.json", settings):
        return None
    from flows.begin import begin
    from stores.fewshot_reports import standing_fewshot_report
    from stores.plans.fewshot import SCORING, TRAINING
    from stores.plans.fewshot_run import FewShotRun

    run = FewShotRun(spec, begin({spec.head: spec}, settings))
    if not run.stands((*TRAINING, *SCORING)):
        return None
    for node in run.plan.values():
        run.session.found(node)
    report = standing_fewshot_report(run)
    return report.model_dump(mode="json") if report else None


def _may_stand(report: Path, settings: Settings) -> bool:
    """Whether looking is worth while: opening a run loads torch, which a flow does while its server starts."""
    return report.is_file() and not settings.again
