"""The flow that makes the label set of one step, without training anything."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.begin import begin
from flows.benchmark import Step, prepare
from flows.names import run_name
from flows.stages import Built, label_stage
from flows.summary import ended, markdown, nothing_to_do, stage_lines, where
from flows.telling import tell_page, told
from stores.artefacts import ArtefactRef
from stores.plans.plan import require_stages
from stores.plans.run import Run
from stores.runs import run_folder
from wilss.errors import SpecError
from wilss.settings import Settings
from wilss.spec import RunSpec


@flow(name="relabel", flow_run_name=run_name, persist_result=False)
@told
def run_relabel(spec: RunSpec, step: Step, settings: Settings | None = None) -> dict[str, Any]:
    """Co-segment the tagged images of a step; only rows that are new or changed are made.

    Args:
        spec: at least ``{"benchmark": NAME}``; the rest comes from the preset.
        step: its number, 1 or more.
        settings: facts of the machine that were set; the others come from ``WILSS_*`` of the worker.

    Returns:
        Kind, digest and counts of the label set.
    """
    run = Run(spec, begin({spec.method: spec}, settings))
    run.node("checkpoint", step)
    if step == 0 or not spec.uses_labels:
        why = "step 0 learns from masks" if step == 0 else f"{spec.method} makes its own masks"
        raise SpecError(f"{why}, so it has no label set; name a step from 1 to {run.last_step}, or another method")
    require_stages(run.settings.again, run.plan.stages_of(step))
    if (name := f"labels {step}") not in run.plan:
        given = run.ingredients.given[step]
        return nothing_to_do(
            f"step {step} learns from label set {given.digest[:12]}, which was given", given.model_dump()
        )
    stands = run.session.standing(run.plan[name]) is not None

    def labelled() -> ArtefactRef:
        built = Built()
        if not stands:
            prepare(run, step, built)
        return label_stage(run, step, built)

    labels = run.session.mending([run.plan], labelled)
    content = labels.model_dump()
    if stands and not run.settings.again:
        return nothing_to_do(f"label set {labels.digest[:12]} of step {step} stands", content)
    page = [*stage_lines(run.session), "", *where(run.session, run_folder(run.settings, run.spec) / "report.html")]
    tell_page(f"labels-{labels.digest[:12]}", markdown(f"Labels of step {step} of {spec.benchmark}", page))
    return ended(run.session, f"label set {labels.digest[:12]}", content)
