"""The flow that lets an alias point to a model, by hand."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.states import Completed
from pydantic import Field

from flows.begin import begin
from flows.evaluate import Model
from flows.names import run_name
from flows.summary import PROMOTED, nothing_to_do
from flows.telling import told
from stores.artefacts import ArtefactRef
from stores.registry import student_of
from tasks.gate import moved_alias
from wilss.aliases import aliases_of
from wilss.retrain import Name
from wilss.settings import Settings

Why = Annotated[str, Field(max_length=1000, description="what the decision rests on, for the record")]


@flow(name="promote", flow_run_name=run_name, persist_result=False)
@told
def run_promotion(
    model: Model, alias: Name = "champion", why: Why = "", settings: Settings | None = None
) -> dict[str, Any]:
    """Let an alias point to a model that loads and predicts; the model before becomes ``previous``.

    Args:
        model: an alias, a digest or a run's folder.
        alias: the name that moves.
        why: for the record.
        settings: facts of the machine that were set; the others come from ``WILSS_*`` of the worker.

    Returns:
        The line of the alias's log.
    """
    session = begin({}, settings)
    root = session.settings.root
    student, before = student_of(root, model), aliases_of(root).get(alias)
    if before == student:
        content = {"alias": alias, "before": before, "after": student}
        return nothing_to_do(f"{alias} is {student[:12]} already", content)
    who = f"promote, {session.started_by}"
    ref = ArtefactRef(kind="checkpoints", digest=student)
    move = moved_alias(session, ref, alias, before, who, why or "by hand", "")
    told_of = f"{alias} is {student[:12]} now, before it was {before[:12] if before else 'no model'}"
    session.say(told_of)
    return Completed(name=PROMOTED, message=told_of, data=move.model_dump(mode="json"))
