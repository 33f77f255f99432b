"""The report task: the record and the page of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stores.artefacts import ArtefactRef
from stores.plans.run import Run
from stores.reports import gather_report, report_page
from stores.runs import run_folder, write_run
from tasks.base import heavy_task, named
from wilss.data.learnt_from import note_lists
from wilss.report.records import RunReport


@heavy_task(name="report", task_run_name=named("report"))
def write_report(
    run: Run, evaluations: Sequence[ArtefactRef], labels: Sequence[ArtefactRef], seconds: Mapping[str, float]
) -> RunReport:
    """Gather what is stored of a run up to its last evaluation, and write ``report.json`` and ``report.html``.

    Args:
        evaluations: of every step from the run's first one on. labels: that the steps learnt from.
    """
    last_step = run.first_step + len(evaluations) - 1
    report = gather_report(run, last_step, dict(seconds))
    folder: Path = run_folder(run.settings, run.spec)
    if run.notes:
        note_lists(run.notes, run.lists, range(run.first_step + 1 if run.given else 0, last_step + 1))
    write_run(
        folder,
        {"report.json": report.text(), "report.html": report_page(run, last_step, report)},
        run.session.settings.root,
    )
    return report
