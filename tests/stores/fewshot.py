"""The smallest few-shot run that makes an artefact of every kind, without a Prefect server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stores.artefacts import ArtefactRef
from stores.fewshot_reports import ScoredModel, standing_fewshot_report
from stores.plans.fewshot import SPLITS
from stores.plans.fewshot_run import FewShotRun
from stores.plans.session import Session
from tasks.fewshot import fewshot_scores, frozen_episodes
from tasks.fewshot_report import write_fewshot_report
from tasks.fewshot_train import fewshot_head, shapes_net, stage1_net
from wilss.fewshot.spec import FewShotSpec, make_fewshot_spec
from wilss.report.fewshot_records import FewShotReport
from wilss.settings import Settings

TINY: dict[str, Any] = {
    **{"benchmark": "scenes-5i", "fold": 3, "preset": "tiny", "head": "bam", "train": {"tuning": "svf"}},
    **{"episodes": 4, "base_episodes": 4, "shapes": {"weights": "train"}},
}


def tiny_spec() -> FewShotSpec:
    """Silhouettes, stage 1 and a head whose singular values are tuned."""
    return make_fewshot_spec(TINY)


def fewshot_without_server(root: Path, said: list[str] | None = None) -> dict[str, Any]:
    """What `flows.fewshot.run_fewshot` does with its tasks' functions; what must not change of its report."""
    session = Session(Settings(root=root), (said if said is not None else []).append)
    run = FewShotRun(tiny_spec(), session)
    report = session.mending([run.plan], lambda: _build(run)).model_dump(mode="json")
    return unchanging(report)


def unchanging(report: dict[str, Any]) -> dict[str, Any]:
    """Scores and digests."""
    return {key: report[key] for key in ("novel", "base", "artefacts")}


def _build(run: FewShotRun) -> FewShotReport:
    def stage(name: str, make: Callable[[], ArtefactRef]) -> ArtefactRef:
        return run.session.found(run.plan[name]) or make()

    shapes = stage("silhouettes", lambda: shapes_net.fn(run))
    stage1 = stage("stage 1", lambda: stage1_net.fn(run, shapes))
    head = stage("head", lambda: fewshot_head.fn(run, shapes, stage1))
    episodes = {split: stage(f"episodes {split}", lambda s=split: frozen_episodes.fn(run, s)) for split in SPLITS}  # type: ignore[misc]
    scores = {
        split: stage(f"scores {split}", lambda s=split: fewshot_scores.fn(run, s, head, episodes[s]))  # type: ignore[misc]
        for split in SPLITS
    }
    return standing_fewshot_report(run) or write_fewshot_report.fn(run, ScoredModel(head, episodes, scores), {})
