"""The flow of a whole benchmark, and the flow of a single step."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows.begin import begin
from flows.names import run_name
from flows.stages import Built, base_stages, earlier_stages, step_stages, timed
from flows.summary import run_ended
from flows.telling import told
from stores.plans.plan import require_stages
from stores.plans.run import Run
from stores.reports import standing_report
from tasks.prepare import prepare_data
from tasks.report import write_report
from wilss.report.records import RunReport
from wilss.settings import Settings
from wilss.spec import RunSpec

Step = Annotated[int, Field(ge=0, le=1000, description="number of a step; 0 is the base step")]


@flow(name="benchmark", flow_run_name=run_name, persist_result=False)
@told
def run_benchmark(spec: RunSpec, settings: Settings | None = None) -> dict[str, Any]:
    """Run every step of a benchmark and write the report; what is complete already is found, not redone.

    Args:
        spec: at least ``{"benchmark": NAME}``; the rest comes from the preset.
        settings: facts of the machine that were set; the others come from ``WILSS_*`` of the worker.

    Returns:
        The content of ``report.json``.
    """
    run = Run(spec, begin({spec.method: spec}, settings))
    require_stages(run.settings.again, run.plan.stages)

    def whole() -> RunReport:
        built = Built()
        prepare(run, run.last_step, built)
        return build_run(run, built)

    return run_ended(run, run.session.mending([run.plan], whole))


def build_run(run: Run, built: Built, last_step: int | None = None) -> RunReport:
    """Every stage of a run, or of its steps up to one, inside the calling flow, which has looked over the data."""
    base_stages(run, built)
    for step in range(run.first_step + 1, (run.last_step if last_step is None else last_step) + 1):
        step_stages(run, step, built)
    return report_of(run, built)


@flow(name="step", flow_run_name=run_name, persist_result=False)
@told
def run_step(spec: RunSpec, step: Step, settings: Settings | None = None) -> dict[str, Any]:
    """Run one step from what is already there, and write the report up to it.

    Args:
        spec: at least ``{"benchmark": NAME}``; the rest comes from the preset.
        step: its number; 0 is the base step.
        settings: facts of the machine that were set; the others come from ``WILSS_*`` of the worker.

    Raises ArtefactNotFoundError that names what is missing when the step before has not been run.
    """
    return one_step(spec, step, settings)


def one_step(spec: RunSpec, step: int, settings: Settings | None) -> Any:
    """One step inside the calling flow; the state that it ends in."""
    run = Run(spec, begin({spec.method: spec}, settings))
    earlier_stages(run, step)
    require_stages(run.settings.again, run.plan.stages_of(step))

    def one() -> RunReport:
        built = Built()
        prepare(run, step, built)
        if step == 0 or run.given:
            base_stages(run, built)
        earlier_stages(run, step, built)
        if step:
            step_stages(run, step, built)
        return report_of(run, built)

    return run_ended(run, run.session.mending([run.plan], one))


def prepare(run: Run, last_step: int, built: Built) -> None:
    """Look over the data before anything is trained; where nothing is to be made, nothing reads them."""
    if not run.stands(last_step):
        with timed(built.seconds, "data"):
            prepare_data(run)


def report_of(run: Run, built: Built) -> RunReport:
    """The report of what stands, if there is one already, else a new one."""
    found = standing_report(run, run.first_step + len(built.evaluations) - 1)
    return found or write_report(run, built.evaluations, built.labels, built.seconds)
