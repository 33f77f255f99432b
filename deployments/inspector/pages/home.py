"""The first page, and the lists of what there is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from deployments.inspector.desk import Desk, DeskOf, unfinished
from deployments.inspector.html import page
from deployments.inspector.kin import MOST_RUNS, made_by, of_runs
from stores.artefacts import Manifest
from wilss.errors import FormatError
from wilss.report.fewshot_records import FewShotReport
from wilss.report.records import RunReport

router = APIRouter()
MOST_OF_EACH = 8


@dataclass(frozen=True)
class SetLine:
    """A label set in a list. made: by what, in a word. reviewed: rows that somebody looked at, None if unreadable."""

    manifest: Manifest
    made: str
    reviewed: int | None

    @property
    def rows(self) -> int:
        """Rows of the set."""
        return self.manifest.counts.get("rows", 0)


@router.get("/")
def home(request: Request, desk: DeskOf) -> HTMLResponse:
    """What there is, newest first."""
    lineage = desk.lineage.refresh()
    reports, sets = desk.reports.refresh(), lineage.of_kind("labels")
    runs, fewshot = reports.lines(RunReport), reports.lines(FewShotReport)
    return page(
        request,
        "home.html.j2",
        "wilss inspector",
        root=desk.root,
        sets=set_lines(desk, sets[:MOST_OF_EACH]),
        n_sets=len(sets),
        runs=runs[:MOST_OF_EACH],
        fewshot=fewshot[:MOST_OF_EACH],
        n_runs=len(runs) + len(fewshot),
        n_comparisons=len(reports.comparisons),
        n_models=len(lineage.of_kind("checkpoints")) + len(lineage.of_kind("heads")),
        drawing=of_runs(lineage, reports.runs[:MOST_RUNS]),
        problems=[*reports.problems, *lineage.faults.values()],
    )


@router.get("/labels")
def label_sets(request: Request, desk: DeskOf) -> HTMLResponse:
    """All label sets."""
    lineage = desk.lineage.refresh()
    lines = set_lines(desk, lineage.of_kind("labels"))
    faults = [error for folder, error in lineage.faults.items() if folder.parent.parent.name == "labels"]
    begun = unfinished(desk.root, "labels")
    return page(request, "sets.html.j2", "Label sets", sets=lines, begun=begun, problems=faults)


def set_lines(desk: Desk, sets: Iterable[Manifest]) -> list[SetLine]:
    """Label sets with what made them."""
    return [SetLine(manifest, made_by(manifest), _reviewed(desk, manifest)) for manifest in sets]


def _reviewed(desk: Desk, manifest: Manifest) -> int | None:
    try:
        return len(desk.review(manifest.digest).states)
    except FormatError:
        return None
