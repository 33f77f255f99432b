"""The flow of a whole benchmark, and the flow of a single step."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.begin import begin
from flows.stages import Built, base_stages, earlier_stages, step_stages, timed
from stores.plans.plan import require_stages
from stores.plans.run import Run
from stores.reports import standing_report
from tasks.prepare import prepare_data
from tasks.report import write_report
from wilss.report.records import RunReport
from wilss.settings import Settings
from wilss.spec import RunSpec


@flow(name="benchmark", persist_result=False)
def run_benchmark(spec: RunSpec, settings: Settings | None = None) -> dict[str, Any]:
    """Run every step of a benchmark and write the report; what is complete already is found, not redone.

    Args:
        spec: at least ``{"benchmark": NAME}``; the rest comes from the preset.
        settings: facts of the machine; None reads the ``WILSS_*`` environment variables.

    Returns:
        The content of ``report.json``.
    """
    run = Run(spec, begin({spec.method: spec}, settings))
    require_stages(run.settings.again, run.plan.stages)

    def whole() -> RunReport:
        built = Built()
        prepare(run, run.last_step, built)
        return build_run(run, built)

    return run.session.mending([run.plan], whole).model_dump(mode="json")


def build_run(run: Run, built: Built) -> RunReport:
    """Every stage of a run inside the calling flow, which has looked over the data."""
    base_stages(run, built)
    for step in range(1, run.last_step + 1):
        step_stages(run, step, built)
    return _report(run, built)


@flow(name="step", persist_result=False)
def run_step(spec: RunSpec, step: int, settings: Settings | None = None) -> dict[str, Any]:
    """Run one step from what is already there, and write the report up to it.

    Raises ArtefactNotFoundError that names what is missing when the step before has not been run.
    """
    run = Run(spec, begin({spec.method: spec}, settings))
    earlier_stages(run, step)
    require_stages(run.settings.again, run.plan.stages_of(step))

    def one() -> RunReport:
        built = earlier_stages(run, step)
        prepare(run, step, built)
        if step == 0:
            base_stages(run, built)
        else:
            step_stages(run, step, built)
        return _report(run, built)

    return run.session.mending([run.plan], one).model_dump(mode="json")


def prepare(run: Run, last_step: int, built: Built) -> None:
    """Look over the data before anything is trained; where nothing is to be made, nothing reads them."""
    if not run.stands(last_step):
        with timed(built.seconds, "data"):
            prepare_data(run)


def _report(run: Run, built: Built) -> RunReport:
    """The report of what stands, if there is one already, else a new one."""
    found = standing_report(run, len(built.evaluations) - 1)
    return found or write_report(run, built.evaluations, built.labels, built.seconds)
