"""A person's answer before an alias moves: the run is suspended with a form, and no answer in time means no."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prefect.context import FlowRunContext
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from stores.gates import now, signature, write_gate
from stores.plans.session import Session
from stores.registry import AliasMovedError, set_alias
from wilss.aliases import CHALLENGER, aliases_of
from wilss.report.gate import Answer, GateReport, Outcome
from wilss.retrain import ApprovalSpec

KEY = "approval"
"""Of the one pause of a run: asking again after it was resumed gives the answer."""


class Approval(RunInput):
    """The form that a person fills in."""

    approve: bool = Field(description="yes: the model gets the alias; no: it does not")
    who: str = Field(min_length=1, max_length=100, description="your name, for the record")
    why: str = Field("", max_length=1000, description="what the answer rests on")


def answered(session: Session, approval: ApprovalSpec, report: GateReport) -> GateReport:
    """The record with what came of asking: outcome "passed" where the alias may move.

    Suspends the flow run, which ends its process; when it is resumed the flow begins again and comes here with the
    answer.
    """
    if not approval.wanted or (report.answer is not None and report.answer.approve):
        return report.model_copy(update={"outcome": "passed"})
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow_run.deployment_id is None:
        why = "nobody can be asked on the command line; look at the page of the gate, then decide"
        return _put(session, report, "no answer", why)
    if report.outcome != "waiting":
        report = _asked(session, approval, report)
    given = suspend_flow_run(wait_for_input=_form(report), timeout=_seconds_left(report), key=KEY)
    return _heard(session, report, given)


def _asked(session: Session, approval: ApprovalSpec, report: GateReport) -> GateReport:
    """Write down until when an answer is waited for; the model is the challenger meanwhile."""
    deadline = (datetime.now(UTC) + timedelta(hours=approval.hours)).isoformat(timespec="seconds")
    root, digest = session.settings.root, report.challengers[0]
    try:
        before = aliases_of(root).get(CHALLENGER)
        who = signature(f"retrain, {session.started_by}")
        set_alias(root, CHALLENGER, digest, expected=before, who=who, why="waits for approval")
    except AliasMovedError:  # another run asks about another model; both records tell which is meant
        session.say(f"another model became {CHALLENGER} at the same moment; this one is {digest[:12]}")
    session.say(f"waits for a person until {deadline}: wilss approve RUN --yes, or --no")
    why = f"a person is asked until {deadline}; no answer means no"
    return _put(session, report.model_copy(update={"deadline": deadline}), "waiting", why)


def _form(report: GateReport) -> type[Approval]:
    rules = "; ".join(rule.told for rule in report.verdict.rules)
    told = (
        f"Model {report.challengers[0][:12]} passed the gate of {report.alias}: {rules}. No answer until "
        f"{report.deadline} means no."
    )
    return Approval.with_initial_data(description=told)


def _seconds_left(report: GateReport) -> int:
    left = datetime.fromisoformat(report.deadline) - datetime.now(UTC)
    return max(int(left.total_seconds()), 1)


def _heard(session: Session, report: GateReport, given: Approval) -> GateReport:
    if datetime.fromisoformat(report.deadline) < datetime.now(UTC):
        return _put(session, report, "no answer", f"the answer came after {report.deadline}, which means no")
    answer = Answer(approve=given.approve, who=signature(given.who), why=given.why, when=now())
    report = report.model_copy(update={"answer": answer})
    if not answer.approve:
        return _put(session, report, "declined", f"{answer.who} said no{answer.why and f': {answer.why}'}")
    return _put(session, report, "passed", f"{answer.who} said yes{answer.why and f': {answer.why}'}")


def _put(session: Session, report: GateReport, outcome: Outcome, reason: str) -> GateReport:
    return write_gate(session.settings.root, report.model_copy(update={"outcome": outcome, "reason": reason}))
