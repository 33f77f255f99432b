"""The flow of a comparison: every cell of the grid, then one table."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.begin import begin
from flows.benchmark import build_run, prepare
from flows.names import run_name
from flows.stages import Built
from flows.summary import comparison_ended
from flows.telling import told
from stores.plans.plan import require_stages
from stores.plans.run import Run
from stores.progress import say
from tasks.compare import write_comparison
from wilss.grid import Comparison
from wilss.report.records import ComparisonReport
from wilss.settings import Settings


@flow(name="compare", flow_run_name=run_name, persist_result=False)
@told
def run_comparison(grid: Comparison, settings: Settings | None = None) -> dict[str, Any]:
    """Run methods x seeds on one benchmark; what cells share (base student, label set, bank) is computed once.

    Args:
        grid: at least ``{"run": {"benchmark": NAME}}``.
        settings: facts of the machine that were set; the others come from ``WILSS_*`` of the worker.

    Returns:
        The content of ``compare.json``.
    """
    cells = grid.runs()
    first = {cell.name: cell.spec for cell in cells if cell.seed == grid.seeds[0]}
    session = begin(first, settings)
    session.several = True
    runs = [Run(cell.spec, session) for cell in cells]
    require_stages(session.settings.again, [stage for run in runs for stage in run.plan.stages])

    def whole() -> ComparisonReport:
        # what one method cannot do is said before any of them is trained; its other seeds have the same data
        begun = [Built() for _ in runs]
        for run, built in zip(runs[: len(first)], begun, strict=False):
            prepare(run, run.last_step, built)
        reports = []
        for number, (cell, run, built) in enumerate(zip(cells, runs, begun, strict=True), start=1):
            say(f"run {number} of {len(cells)}: {cell.name}, seed {cell.seed}")
            reports.append(build_run(run, built))
        return write_comparison(grid, runs, reports)

    return comparison_ended(session, session.mending([run.plan for run in runs], whole))
