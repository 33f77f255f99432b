"""The flow that scores a stored model on the evaluation images of some data."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows.begin import begin
from flows.names import run_name
from flows.scoring import scored_on
from flows.summary import ended, nothing_to_do
from flows.telling import tell_table, told
from stores.artefacts import ArtefactRef
from stores.guard_scores import Scored
from stores.plans.run import Run
from stores.registry import student_of
from wilss.errors import DataError
from wilss.measure.gate import mean_iou
from wilss.report.records import percent
from wilss.settings import Settings
from wilss.spec import RunSpec

Model = Annotated[
    str, Field(min_length=1, max_length=300, description="an alias such as champion, a digest, or a run's folder")
]


@flow(name="evaluate", flow_run_name=run_name, persist_result=False)
@told
def run_evaluation(model: Model, spec: RunSpec, settings: Settings | None = None) -> dict[str, Any]:
    """Score a model on all evaluation images, full size; what was scored before is found.

    Args:
        model: an alias, a digest or a run's folder.
        spec: whose data; at least ``{"benchmark": NAME}``.
        settings: facts of the machine that were set; the others come from ``WILSS_*`` of the worker.

    Returns:
        model: its digest. evaluation: that of its counts. images: their number. all: mean IoU of background and
        classes that some image shows. per_class_iou: None for a class that none shows.
    """
    session = begin({}, settings)
    run = Run(spec, session)
    student = ArtefactRef(kind="checkpoints", digest=student_of(session.settings.root, model))
    images = run.source.ids("eval")
    if not images:
        raise DataError(f"the data of {spec.benchmark} have no evaluation images; list some (docs/data.md)")
    data = run.source.fingerprint_of(images, range(1, len(run.source.classes) + 1))
    scored = Scored(session, run.source, student, f"evaluation images of {spec.benchmark}", data, images)
    found = session.found(scored.node)
    evaluation = session.mending([], lambda: found or scored_on(run, scored))
    per_class = scored.per_class(evaluation)
    mean = mean_iou(per_class, per_class)
    content = {
        "model": student.digest,
        "evaluation": evaluation.digest,
        "images": len(images),
        "all": mean,
        "per_class_iou": per_class,
    }
    told_of = f"mIoU all {percent(mean)} % over {len(images)} images"
    if found:
        return nothing_to_do(f"{student.digest[:12]} was scored before: {told_of}", content)
    rows = [{"class": name, "IoU %": percent(value)} for name, value in {**per_class, "all": mean}.items()]
    tell_table(f"scores-{student.digest[:12]}", rows, f"{student.digest[:12]} on the data of {spec.benchmark}")
    return ended(session, told_of, content)
