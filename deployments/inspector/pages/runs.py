"""Runs and comparisons: their records as the static reports draw them, with links to all that they name."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.exceptions import HTTPException

from deployments.inspector.desk import DeskOf
from deployments.inspector.drawn import Around, compared, fewshot_compared, fewshot_run, incremental
from deployments.inspector.html import in_path, page
from deployments.inspector.kin import of_runs
from deployments.inspector.pages.layers import FOREVER
from deployments.inspector.reports import Stored
from deployments.inspector.shown import galleries_of
from wilss.report.fewshot_records import FewShotComparisonReport, FewShotReport
from wilss.report.records import RunReport

router = APIRouter()
FILES = {"report.html": "Report", "fewshot.html": "Report", "compare.html": "Report"} | {
    "report.json": "Record",
    "fewshot.json": "Record",
    "compare.json": "Record",
    "table.md": "Tables as Markdown",
    "plot.svg": "Plot",
    "runs.csv": "Scores as CSV",
    "scores.csv": "Scores as CSV",
    "classes.csv": "Classes as CSV",
}
"""Files beside a record that are handed out, all as downloads."""
SOURCES = ("runs", "fewshot")


@router.get("/runs")
def runs(request: Request, desk: DeskOf) -> HTMLResponse:
    """All runs."""
    reports = desk.reports.refresh()
    found, fewshot = reports.lines(RunReport), reports.lines(FewShotReport)
    return page(request, "runs.html.j2", "Runs", runs=found, fewshot=fewshot, problems=reports.problems)


@router.get("/comparisons")
def comparisons(request: Request, desk: DeskOf) -> HTMLResponse:
    """All comparisons."""
    reports = desk.reports.refresh()
    return page(request, "comparisons.html.j2", "Comparisons", found=reports.comparisons, problems=reports.problems)


@router.get("/runs/{name}")
def run(request: Request, desk: DeskOf, name: str) -> HTMLResponse:
    """One run: the record of its report."""
    stored = desk.reports.refresh().get(name, *SOURCES)
    record = stored.record
    lineage = desk.lineage.refresh()
    around = Around(desk.store, lineage, desk.reports, stored)
    drawn = fewshot_run(around, record) if isinstance(record, FewShotReport) else incremental(around, record)
    return _page(request, "Runs", "/runs", stored, drawn, of_runs(lineage, [stored]))


@router.get("/comparisons/{name}")
def comparison(request: Request, desk: DeskOf, name: str) -> HTMLResponse:
    """One comparison: the record of its report."""
    stored = desk.reports.refresh().get(name, "comparisons")
    record, around = stored.record, Around(desk.store, desk.lineage.refresh(), desk.reports, stored)
    many = isinstance(record, FewShotComparisonReport)
    drawn = fewshot_compared(around, record) if many else compared(around, record)
    return _page(request, "Comparisons", "/comparisons", stored, drawn, None)


@router.get("/runs/{name}/files/{file}")
def run_file(desk: DeskOf, name: str, file: str) -> Response:
    """A file of a run's report, to be kept."""
    return _file(desk.reports.refresh().get(name, *SOURCES), file)


@router.get("/comparisons/{name}/files/{file}")
def comparison_file(desk: DeskOf, name: str, file: str) -> Response:
    """A file of a comparison's report, to be kept."""
    return _file(desk.reports.refresh().get(name, "comparisons"), file)


@router.get("/runs/{name}/pictures/{written}/{number}")
def run_picture(desk: DeskOf, name: str, written: int, number: int) -> Response:
    """A picture of a run's report; ``written`` tells it from one of an older report."""
    return _picture(desk.reports.refresh().get(name, *SOURCES), number)


@router.get("/comparisons/{name}/pictures/{written}/{number}")
def comparison_picture(desk: DeskOf, name: str, written: int, number: int) -> Response:
    """A picture of a comparison's report."""
    return _picture(desk.reports.refresh().get(name, "comparisons"), number)


def _picture(stored: Stored, number: int) -> Response:
    galleries = galleries_of(stored.path.with_suffix(".html"))
    tiles = [tile for gallery in galleries for strip in gallery.strips for tile in strip.tiles]
    if not 0 <= number < len(tiles) or not tiles[number].data:
        raise HTTPException(404, "the report has no such picture; load its page again")
    kind = "png" if tiles[number].data.startswith(b"\x89PNG") else "jpeg"
    return Response(tiles[number].data, headers=FOREVER, media_type=f"image/{kind}")


def _file(stored: Stored, file: str) -> Response:
    path = stored.path.parent / file
    if file not in FILES or not path.is_file():
        raise HTTPException(404, f"the report of '{stored.name[:80]}' has no file '{file[:80]}'; go back to its page")
    kept = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "_" for letter in stored.name
    )
    return FileResponse(path, filename=f"{kept}-{file}", content_disposition_type="attachment")


def _page(request: Request, list_name: str, base: str, stored: Stored, drawn: Any, drawing: Any) -> HTMLResponse:
    address = f"{base}/{in_path(stored.name)}"
    files = [(f"{text} ({name})", f"{address}/files/{name}") for name, text in FILES.items() if _is_there(stored, name)]
    return page(
        request,
        drawn.template,
        drawn.title,
        trail=[(base, list_name), ("", stored.name)],
        outline=[],
        problems=[],
        notices=drawn.notices,
        files=files,
        links=drawn.links,
        drawing=drawing,
        **drawn.content,
    )


def _is_there(stored: Stored, name: str) -> bool:
    return (stored.path.parent / name).is_file()
