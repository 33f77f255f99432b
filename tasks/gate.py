"""Tasks of a gate: scores on the guard set, the verdict, and the alias that moves."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from stores.artefacts import ArtefactRef
from stores.gates import signature
from stores.guard_scores import Scored
from stores.plans.session import Session, StageNote
from stores.registry import promote, set_alias
from tasks.base import heavy_task
from tasks.score import summed
from wilss.aliases import Move
from wilss.errors import WilssError


@heavy_task(name="guard scores", task_run_name="scores of {scored.student.digest} on {scored.title}")
def guard_scores(scored: Scored, counted: Sequence[tuple[str, Tensor]] = (), seconds: float = 0.0) -> ArtefactRef:
    """Score a stored student on given images, unless that was done before; see `tasks.evaluate.evaluation`."""
    session, node, counts = scored.session, scored.node, summed(counted).get("full")
    made = session.obtain(node, lambda folder: scored.make(folder, counts, seconds))
    session.stages.setdefault(node.recipe.digest, StageNote(node.title, "made", 0.0))
    return made


@heavy_task(name="alias moved", task_run_name="{alias} moves to {student.digest}")
def moved_alias(
    session: Session, student: ArtefactRef, alias: str, expected: str | None, who: str, why: str, evidence: str
) -> Move:
    """Let an alias point to a student that loads and predicts; where it does not afterwards, the alias goes back.

    Args:
        expected: what the alias points to now, None for nothing.

    Raises AliasMovedError where it points elsewhere by now; then, and for any other error, it stays as it is.
    """
    from stores.models.smoke import smoke

    folder = session.store.folder(student)
    smoke(folder, session.device)
    root, by = session.settings.root, signature(who)
    move = promote(root, student.digest, alias=alias, expected=expected, who=by, why=why, evidence=evidence)
    try:
        smoke(folder, session.device)
    except WilssError as error:
        told = f"{student.digest[:12]} could not be loaded after it had the alias: {error}"[:1000]
        set_alias(root, alias, expected, expected=student.digest, who=by, why=told)
        raise
    return move
