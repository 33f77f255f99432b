"""The flow of a whole benchmark, and the flow of a single step."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.environment import machine_settings
from flows.stages import Seconds, base_stages, prepare, step_stages
from tasks.again import require_stages, stages_of
from tasks.prepare import require_predecessor, say_settings
from tasks.report import write_report
from tasks.workspace import forget_data
from wilss.spec import RunSpec, Settings


@flow(name="benchmark", persist_result=False)
def run_benchmark(spec: RunSpec, settings: Settings | None = None) -> dict[str, Any]:
    """Run every step of a benchmark and write the report; what is complete already is found, not redone.

    Args:
        spec: at least ``{"benchmark": NAME}``; the rest comes from the preset.
        settings: facts of the machine; None reads the ``WILSS_*`` environment variables.

    Returns:
        The content of ``report.json``.
    """
    forget_data()
    settings = settings or machine_settings()
    require_stages(settings.again, stages_of(range(last_step(spec) + 1)))
    say_settings({spec.method: spec}, settings)
    return run_all_steps(spec, settings)


def run_all_steps(spec: RunSpec, settings: Settings) -> dict[str, Any]:
    """Every stage of a run inside the calling flow; returns the content of its ``report.json``."""
    seconds: Seconds = {}
    prepare(spec, settings, seconds)
    base_stages(spec, settings, seconds)
    last = last_step(spec)
    for step in range(1, last + 1):
        step_stages(spec, settings, step, seconds)
    return write_report(spec, settings, last, seconds)


def last_step(spec: RunSpec) -> int:
    """Number of the last step that is trained; the joint upper bound learns all classes in step 0."""
    return 0 if spec.method == "joint" else len(spec.protocol.steps) - 1


@flow(name="step", persist_result=False)
def run_step(spec: RunSpec, step: int, settings: Settings | None = None) -> dict[str, Any]:
    """Run one step from what is already there, and write the report up to it.

    Raises ArtefactNotFoundError that names what is missing when the step before has not been run.
    """
    forget_data()
    settings = settings or machine_settings()
    require_stages(settings.again, stages_of([step]))
    say_settings({spec.method: spec}, settings)
    seconds: Seconds = {}
    prepare(spec, settings, seconds)
    if step == 0:
        base_stages(spec, settings, seconds)
    else:
        require_predecessor(spec, settings, step)
        step_stages(spec, settings, step, seconds)
    return write_report(spec, settings, step, seconds)
