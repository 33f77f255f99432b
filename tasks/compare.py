"""The comparison task: tables, plot and pictures over the runs of a grid, in a folder of their own."""

from __future__ import annotations

from collections.abc import Sequence

from stores.plans.run import Run
from stores.reports import command_line, predictions_gallery, versions
from stores.runs import comparison_folder, write_run
from tasks.base import heavy_task
from wilss.grid import Comparison
from wilss.report.comparison import comparison_page, csv_classes, csv_rows, markdown, plot, tables
from wilss.report.gallery import Gallery
from wilss.report.records import ComparisonReport, RunEntry, RunReport


@heavy_task(name="comparison")
def write_comparison(grid: Comparison, runs: Sequence[Run], reports: Sequence[RunReport]) -> ComparisonReport:
    """Write ``compare.json``, ``table.md``, ``runs.csv``, ``classes.csv``, ``plot.svg`` and ``compare.html``.

    Args:
        runs, reports: of every cell, in the order of ``grid.runs()``.
    """
    cells = grid.runs()
    by_name: dict[str, list[RunReport]] = {name: [] for name in grid.methods}
    for cell, report in zip(cells, reports, strict=True):
        by_name[cell.name].append(report)
    asked = {f"{cell.name} {cell.seed}": run.spec for cell, run in zip(cells, runs, strict=True) if cell.spec.labels}
    sets: dict[str, dict[str, object]] = {
        name: {str(step): digest for step, digest in spec.label_sets.items()} for name, spec in asked.items()
    }
    first, spec = runs[0].spec, cells[0].spec
    if (first.start, first.students) != (spec.start, spec.students):  # aliases, which may point elsewhere next time
        sets["starts from"] = {"start": first.start, "students": first.students}
    folder = comparison_folder(runs[0].settings, grid, sets)
    content = ComparisonReport(
        format=ComparisonReport.FORMAT,
        folder=str(folder),
        benchmark=spec.benchmark,
        scenario=spec.scenario,
        methods=grid.methods,
        seeds=grid.seeds,
        tables=tuple(tables(by_name, spec.data.eval_crop)),
        runs=tuple(
            RunEntry(run=report.run, name=cell.name, seed=cell.seed, seconds=report.total_seconds)
            for cell, report in zip(cells, reports, strict=True)
        ),
        device=str(runs[0].device),
        command=command_line(),
        started_by=runs[0].session.started_by,
        versions=versions(),
        sources=runs[0].settings.sources,
        spec=spec.shown(),
    ).sealed()
    write_run(
        folder,
        {"compare.json": content.text(), **_files(content, by_name, _pictures(grid, runs))},
        runs[0].settings.root,
    )
    return content


def _files(content: ComparisonReport, by_name: dict[str, list[RunReport]], pictures: Gallery) -> dict[str, str]:
    title = f"{content.benchmark}: {', '.join(content.methods)}"
    return {
        "table.md": markdown(title, content.tables),
        "runs.csv": csv_rows(by_name),
        "classes.csv": csv_classes(by_name),
        "plot.svg": plot(content.benchmark, by_name),
        "compare.html": comparison_page(title, content, by_name, pictures),
    }


def _pictures(grid: Comparison, runs: Sequence[Run]) -> Gallery:
    """Every method's predictions after its last step, for the first seed."""
    first = dict(zip(grid.methods, runs[: len(grid.methods)], strict=True))
    students = {name: run.require(run.node("checkpoint", run.last_step)) for name, run in first.items()}
    return predictions_gallery(runs[0], students, f"Evaluation images after the last step, seed {grid.seeds[0]}")
