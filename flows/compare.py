"""The flow of a comparison: every cell of the grid, then one table."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.benchmark import last_step, run_all_steps
from flows.environment import machine_settings
from tasks.again import require_stages, stages_of
from tasks.compare import write_comparison
from tasks.prepare import prepare_data, say_settings
from tasks.progress import say
from tasks.workspace import forget_data
from wilss.grid import Comparison
from wilss.spec import Settings


@flow(name="compare", persist_result=False)
def run_comparison(grid: Comparison, settings: Settings | None = None) -> dict[str, Any]:
    """Run methods x seeds on one benchmark; what cells share (base student, label set, bank) is computed once.

    Args:
        grid: at least ``{"run": {"benchmark": NAME}}``.
        settings: facts of the machine; None reads the ``WILSS_*`` environment variables.

    Returns:
        The content of ``compare.json``.
    """
    forget_data()
    settings = settings or machine_settings()
    cells = grid.runs()
    require_stages(settings.again, stages_of(range(max(last_step(cell.spec) for cell in cells) + 1)))
    say_settings({name: grid.spec_of(name, grid.seeds[0]) for name in grid.methods}, settings)
    for name in grid.methods:  # what one of them cannot do is said before any of them is trained
        prepare_data(grid.spec_of(name, grid.seeds[0]), settings)
    reports = []
    for number, cell in enumerate(cells, start=1):
        say(f"run {number} of {len(cells)}: {cell.name}, seed {cell.seed}")
        reports.append(run_all_steps(cell.spec, settings))
    return write_comparison(grid, settings, reports)
