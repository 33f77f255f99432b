"""Few-shot report tasks: the record and the page of a model, and of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stores.fewshot_reports import ScoredModel, comparison_gallery, fewshot_page, gather_fewshot_report, tuning_gains
from stores.plans.fewshot_run import FewShotRun
from stores.reports import command_line, versions
from stores.runs import fewshot_comparison_folder, fewshot_folder, write_run
from tasks.base import heavy_task, named
from wilss.fewshot.grid import FewShotGrid
from wilss.report.comparison import markdown
from wilss.report.fewshot import gain_table, grid_table, page, scores_csv
from wilss.report.fewshot_records import FewShotComparisonReport, FewShotReport
from wilss.report.gallery import Gallery


@heavy_task(name="report", task_run_name=named("report"))
def write_fewshot_report(run: FewShotRun, model: ScoredModel, seconds: Mapping[str, float]) -> FewShotReport:
    """Gather what is stored of a model, and write ``fewshot.json`` and ``fewshot.html``."""
    report = gather_fewshot_report(run, model, seconds)
    files = {"fewshot.json": report.text(), "fewshot.html": fewshot_page(run, model, report)}
    write_run(fewshot_folder(run.settings, run.spec), files, run.settings.root)
    return report


@heavy_task(name="comparison")
def write_fewshot_comparison(
    grid: FewShotGrid, runs: Sequence[FewShotRun], models: Sequence[ScoredModel], reports: Sequence[FewShotReport]
) -> FewShotComparisonReport:
    """Write ``compare.json``, ``table.md``, ``scores.csv`` and ``compare.html``.

    Args:
        runs, models, reports: of every cell, in the order of ``grid.cells()``.
    """
    cells = list(grid.cells())
    by_name: dict[str, list[FewShotReport]] = {}
    for cell, report in zip(cells, reports, strict=True):
        by_name.setdefault(cell.name, []).append(report)
    tables = [grid_table(by_name, grid.folds, grid.shots)]
    if gains := tuning_gains(cells, runs, models):
        tables.append(gain_table(gains, grid.folds))
    content = FewShotComparisonReport(
        format=FewShotComparisonReport.FORMAT,
        folder=str(fewshot_comparison_folder(runs[0].settings, grid)),
        benchmark=cells[0].spec.benchmark,
        tables=tuple(tables),
        runs=tuple(report.run for report in reports),
        device=str(runs[0].device),
        command=command_line(),
        started_by=runs[0].session.started_by,
        versions=versions(),
        sources=runs[0].settings.sources,
        spec=grid.model_dump(mode="json"),
    ).sealed()
    title = f"{content.benchmark}: {', '.join(grid.heads)}"
    files = {
        "compare.json": content.text(),
        "table.md": markdown(title, tables),
        "scores.csv": scores_csv(reports),
        "compare.html": page(title, _notes(grid), tables, {}, _pictures(grid, runs, models), content),
    }
    write_run(fewshot_comparison_folder(runs[0].settings, grid), files, runs[0].settings.root)
    return content


def _notes(grid: FewShotGrid) -> list[str]:
    spec = next(grid.cells()).spec
    return [
        f"seeds {', '.join(map(str, grid.seeds))}; {spec.lists} lists; {spec.episodes} episodes a fold, the same for "
        "every model; the model of the last epoch",
        "errors are over episodes; how far another training would land, only several seeds tell",
    ]


def _pictures(grid: FewShotGrid, runs: Sequence[FewShotRun], models: Sequence[ScoredModel]) -> Gallery:
    """What every model of the first fold, number of shots and seed makes of the same episodes."""
    first = (grid.folds[0], grid.shots[0], grid.seeds[0])
    cells = zip(grid.cells(), runs, models, strict=True)
    shown = [(c.name, run, model) for c, run, model in cells if (c.spec.fold, c.spec.shots, c.spec.seed) == first]
    names, of, by = zip(*shown, strict=True)
    return comparison_gallery(f"Fold {grid.folds[0]}, the same episodes", names, of, by)
