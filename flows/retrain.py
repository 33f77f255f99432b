"""The flow that trains a model anew and lets it take the place of the one in use, where the gate and people let it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect import flow
from prefect.context import FlowRunContext

from flows.approval import answered
from flows.begin import begin
from flows.benchmark import build_run, prepare
from flows.names import run_name
from flows.reopened import guard_of, opened, why_nothing
from flows.scoring import scored_on
from flows.stages import Built
from flows.summary import gate_ended, nothing_to_do
from flows.telling import told
from stores.artefacts import ArtefactRef
from stores.gates import gate_of_run, gate_path, now, write_gate
from stores.guard_scores import Scored
from stores.guards import GuardSet, shown_in
from stores.plans.run import Run
from stores.plans.session import Session
from stores.registry import AliasMovedError
from stores.reports import command_line, versions
from tasks.gate import moved_alias
from wilss.aliases import aliases_of
from wilss.errors import ArtefactNotFoundError, WilssError
from wilss.measure.gate import Verdict, judge, mean_scores
from wilss.report.gate import GateReport, Outcome
from wilss.retrain import RetrainSpec
from wilss.settings import Settings


@flow(name="retrain", flow_run_name=run_name, persist_result=False)
@told
def run_retraining(spec: RetrainSpec, settings: Settings | None = None) -> dict[str, Any]:
    """Label, train, evaluate on the guard set, ask the gate, ask a person if wanted, and move the alias.

    Whatever fails leaves the model in use in its place. A run that was suspended begins here again and goes on with
    what its gate said.

    Args:
        spec: at least ``{"run": {"benchmark": NAME}}``.
        settings: facts of the machine that were set; the others come from ``WILSS_*`` of the worker.

    Returns:
        The content of the gate's record; where there was nothing to do, why.
    """
    session = begin({spec.run.method: spec.run}, settings)
    if report := gate_of_run(session.settings.root, flow_run_id()):
        return settle(session, spec, report)
    runs = opened(spec, session)
    if why := why_nothing(spec, runs):
        return nothing_to_do(why, {"outcome": "nothing to do", "reason": why, "alias": spec.alias})
    report = session.mending([run.plan for run in runs], lambda: judged(spec, runs))
    return settle(session, spec, report)


def judged(spec: RetrainSpec, runs: tuple[Run, ...]) -> GateReport:
    """Build what is missing, score champion and challengers on the guard set, and write what the gate says."""
    session, step = runs[0].session, spec.last_step
    champion = _champion(session, spec.alias)
    guard = guard_of(spec, runs[0])  # refused before anything is trained
    begun = [Built() for _ in runs]
    for run, built in zip(runs, begun, strict=True):
        prepare(run, step, built)
        build_run(run, built, step)
    students = [built.students[-1] for built in begun]
    session.say(f"gate of {spec.alias}: {len(guard.images)} images of guard set '{guard.name}'")
    of = {"challenger" if n == 0 else f"challenger {n}": student for n, student in enumerate(students)}
    of |= {"champion": champion} if champion else {}
    on = {role: _scored(runs[0], guard, student) for role, student in of.items()}
    made = {role: scored_on(runs[0], scored) for role, scored in on.items()}
    scores = {role: scored.per_class(made[role]) for role, scored in on.items()}
    known = scores.pop("champion", None)
    several, shown = list(scores.values()), shown_in(runs[0], guard)
    verdict = judge(spec.gate, mean_scores(several), known, len(guard.images), shown)
    own = judge(spec.gate, several[0], known, len(guard.images), shown) if len(several) > 1 else None
    report = _report(spec, runs, guard, verdict, own).model_copy(
        update={
            "champion": champion.digest if champion else None,
            "challengers": tuple(student.digest for student in students),
            "scores": {role: evaluation.digest for role, evaluation in made.items()},
        }
    )
    outcome: Outcome = "passed" if report.passed else "kept out"
    return concluded(session, report, outcome, "; ".join(report.reasons) or "every rule is met")


def settle(session: Session, spec: RetrainSpec, report: GateReport) -> Any:
    """What comes of a verdict: nothing, a question, or the alias moved; returns the state that the flow ends in."""
    if report.passed and report.outcome in ("passed", "waiting", "failed"):
        report = answered(session, spec.approval, report)
        if report.outcome == "passed":
            report = _put_to_use(session, report)
    session.say(f"gate of {report.alias}: {report.outcome}; {report.reason}")
    return gate_ended(session, report, gate_path(session.settings.root, report))


def _put_to_use(session: Session, report: GateReport) -> GateReport:
    student = ArtefactRef(kind="checkpoints", digest=report.challengers[0])
    by = report.answer.who if report.answer else f"retrain, {session.started_by}"
    evidence = str(gate_path(session.settings.root, report))
    try:
        with failure_noted(session, report):
            moved_alias(session, student, report.alias, report.champion, by, report.reason[:1000], evidence)
    except AliasMovedError as error:
        return concluded(session, report, "overtaken", str(error))
    before = report.champion[:12] if report.champion else "no model"
    return concluded(
        session, report, "promoted", f"{report.alias} is {student.digest[:12]} now, before it was {before}"
    )


@contextmanager
def failure_noted(session: Session, report: GateReport) -> Iterator[None]:
    """Have the record say what failed in the block."""
    try:
        yield
    except AliasMovedError:
        raise
    except (WilssError, RuntimeError) as error:  # a GPU without memory is a RuntimeError
        concluded(session, report, "failed", str(error)[:2000])
        raise


def concluded(session: Session, report: GateReport, outcome: Outcome, reason: str) -> GateReport:
    """Write what came of a gate."""
    return write_gate(session.settings.root, report.model_copy(update={"outcome": outcome, "reason": reason}))


def flow_run_id() -> str:
    """Of the flow run; "" outside of one."""
    context = FlowRunContext.get()
    return str(context.flow_run.id) if context and context.flow_run else ""


def _champion(session: Session, alias: str) -> ArtefactRef | None:
    digest = aliases_of(session.settings.root).get(alias)
    if digest is None:
        return None
    ref = ArtefactRef(kind="checkpoints", digest=digest)
    if session.store.find(ref) is None:
        raise ArtefactNotFoundError(
            f"alias '{alias}' points to {digest[:12]}, which is not in '{session.store.root}' any more, so nothing can "
            "be held against it; run again what made it, or let the alias point to another ('wilss models list')"
        )
    return ref


def _scored(run: Run, guard: GuardSet, student: ArtefactRef) -> Scored:
    return Scored(run.session, run.source, student, f"guard set {guard.name}", guard.data, guard.images)


def _report(
    spec: RetrainSpec, runs: tuple[Run, ...], guard: GuardSet, verdict: Verdict, own: Verdict | None
) -> GateReport:
    session, context = runs[0].session, FlowRunContext.get()
    return GateReport(
        format=GateReport.FORMAT,
        device=str(session.device),
        command=command_line(),
        started_by=session.started_by,
        versions=versions(),
        sources=session.settings.sources,
        spec=runs[0].spec.shown(),
        run=context.flow_run.name if context and context.flow_run else "retrain",
        flow_run=flow_run_id(),
        written=now(),
        benchmark=spec.run.benchmark,
        method=spec.run.method,
        scenario=spec.run.scenario,
        step=spec.last_step,
        seeds=tuple(run.spec.seed for run in runs),
        alias=spec.alias,
        champion=None,
        challengers=(),
        guard=guard.name,
        guard_images=guard.images,
        guard_data=guard.data,
        gate=spec.gate,
        verdict=verdict,
        own_verdict=own,
        outcome="passed",
        reason="",
    )
