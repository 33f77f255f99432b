"""What a retraining opens, and whether it has anything to do; a command asks before it starts a server.

Prefect is not imported here.
"""

from __future__ import annotations

from typing import Any

from stores.gates import GateQuestion, settled
from stores.guards import GuardSet, frozen_guard
from stores.plans.plan import require_stages
from stores.plans.run import Run
from stores.plans.session import Session
from wilss.aliases import aliases_of
from wilss.retrain import RetrainSpec
from wilss.spec import RunSpec


def opened(spec: RetrainSpec, session: Session) -> tuple[Run, ...]:
    """The run of every seed."""
    runs = tuple(Run(started(one, spec, session), session) for one in spec.runs)
    require_stages(session.settings.again, [stage for run in runs for stage in run.plan.stages])
    return runs


def started(run: RunSpec, spec: RetrainSpec, session: Session) -> RunSpec:
    """The specification of a run that starts from the model in use, where that is asked for and there is one."""
    if not spec.from_alias or spec.last_step == 0:
        return run
    if spec.alias not in aliases_of(session.settings.root):
        session.say(f"there is no {spec.alias} to start from yet; every step is learnt")
        return run
    return run.model_copy(update={"students": {spec.last_step - 1: spec.alias}})


def why_nothing(spec: RetrainSpec, runs: tuple[Run, ...]) -> str:
    """Why there is nothing to do, "" where there is: data, recipes and parents are in the models' digests."""
    settings = runs[0].settings
    if settings.again:
        return ""
    champion = aliases_of(settings.root).get(spec.alias)
    digests = tuple(run.node("checkpoint", spec.last_step).recipe.digest for run in runs)

    def facts() -> tuple[str, str, Any]:
        guard = guard_of(spec, runs[0])
        return guard.name, guard.data, spec.gate

    return settled(settings.root, GateQuestion(spec.alias, champion, digests, facts))


def guard_of(spec: RetrainSpec, run: Run) -> GuardSet:
    """The guard set of a retraining, frozen now where it is not yet. Raises as `frozen_guard`."""
    return run.session.once(
        ("guard", spec.guard_name), lambda: frozen_guard(run, spec.last_step, spec.guard_name, spec.guard_images)
    )
