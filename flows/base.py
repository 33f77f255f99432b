"""The flow of the base step alone: student, memory bank, evaluation, report."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.benchmark import one_step
from flows.names import run_name
from flows.telling import told
from wilss.settings import Settings
from wilss.spec import RunSpec


@flow(name="base", flow_run_name=run_name, persist_result=False)
@told
def run_base(spec: RunSpec, settings: Settings | None = None) -> dict[str, Any]:
    """Train the base student on masks, cut out its memory bank, score it, and write the report.

    Args:
        spec: at least ``{"benchmark": NAME}``; the rest comes from the preset.
        settings: facts of the machine that were set; the others come from ``WILSS_*`` of the worker.

    Returns:
        The content of ``report.json``.
    """
    return one_step(spec, 0, settings)
