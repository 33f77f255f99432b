"""Answering a run that was suspended until somebody says yes or no."""

from __future__ import annotations

from datetime import UTC, datetime

from deployments.flow_runs import FlowRun, find_run, list_runs
from flows.api import Api
from wilss.errors import ArtefactNotFoundError, SpecError

SUSPENDED = {"type": {"any_": ["PAUSED"]}}


def waiting_run(api: Api, named: str = "") -> FlowRun:
    """The run that waits for an answer; "" for the only one.

    Raises SpecError for a run that does not wait, or whose deadline has passed; ArtefactNotFoundError where "" could
    be none or several.
    """
    if named:
        return _require_waiting(find_run(api, named))
    waiting = list_runs(api, state=SUSPENDED)
    if len(waiting) == 1:
        return _require_waiting(waiting[0])
    if waiting:
        names = ", ".join(run.name for run in waiting[:10])
        raise ArtefactNotFoundError(f"{len(waiting)} runs wait for an answer: {names}; name the one that is meant")
    raise ArtefactNotFoundError("no run waits for an answer; see what runs with 'wilss status'")


def _require_waiting(run: FlowRun) -> FlowRun:
    if run.state is None or run.state.type != "PAUSED":
        doing = run.state.name.lower() if run.state else "unknown"
        raise SpecError(f"run {run.name} does not wait for an answer, it is {doing}; see 'wilss logs'")
    deadline = run.deadline
    if deadline is not None and deadline <= datetime.now(UTC):
        raise SpecError(
            f"run {run.name} waited for an answer until {deadline.astimezone():%Y-%m-%d %H:%M %z}, which has passed; "
            "no answer meant no: trigger it again"
        )
    return run


def answer(api: Api, run: FlowRun, approve: bool, who: str, why: str) -> str:
    """Give the answer, and let the run go on; returns what was done, in words.

    Raises SpecError where the server takes no such answer.
    """
    given = {"run_input": {"approve": approve, "who": who, "why": why}}
    answered = api.post(f"/flow_runs/{run.id}/resume", given)
    if answered.get("status") != "ACCEPT":
        reason = " ".join(str((answered.get("details") or {}).get("reason") or "it gave no reason").split())
        raise SpecError(f"the server does not take the answer to run {run.name} ({reason:.300}); see its page")
    return f"run {run.name} goes on: {'approved' if approve else 'refused'} by {who}"
