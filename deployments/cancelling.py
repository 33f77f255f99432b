"""Ending a run from outside."""

from __future__ import annotations

from deployments.flow_runs import FlowRun
from flows.api import Api
from wilss.errors import SpecError


def cancel_run(api: Api, run: FlowRun) -> str:
    """Ask that a run ends; returns what came of it, in words. Raises SpecError for one that has ended."""
    if run.state is not None and run.state.ended:
        raise SpecError(f"run {run.name} has ended already ({run.state.name.lower()}); there is nothing to cancel")
    asked = {"state": {"type": "CANCELLING", "name": "Cancelling", "message": "asked for with 'wilss cancel'"}}
    answer = api.post(f"/flow_runs/{run.id}/set_state", asked)
    if answer.get("status") not in ("ACCEPT", "REJECT") or answer.get("state") is None:
        reason = (answer.get("details") or {}).get("reason") or "it gave no reason"
        raise SpecError(f"the server does not cancel run {run.name} ({reason}); see its page")
    if answer["state"]["type"] == "CANCELLED":
        return f"run {run.name} is cancelled; it had not begun"
    return f"run {run.name} is being cancelled; its worker ends it within half a minute"
