"""How a flow ends: in a state that says what came of it, with tables and where to look next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prefect.states import Completed

from flows.service import service_of
from flows.telling import tell_page, tell_table
from stores.plans.fewshot_run import FewShotRun
from stores.plans.run import Run
from stores.plans.session import Session
from stores.reports import REPORT
from stores.runs import fewshot_folder, run_folder
from wilss.errors import FormatError
from wilss.report.fewshot_records import FewShotComparisonReport, FewShotReport
from wilss.report.gate import GATE_COLUMNS, OUTCOMES, GateReport, gate_rows, rule_rows
from wilss.report.records import ComparisonReport, RunReport, percent

NOTHING = "Nothing to do"
"""Name of the state of a run that found everything."""
PROMOTED, NOT_PROMOTED = "Promoted", "Not promoted"
"""Names of the states of a retraining."""


def run_ended(run: Run, report: RunReport) -> Any:
    """The state of a flow that made a run's report, or found it; Prefect hands its data on to who called the flow."""
    content, means = report.model_dump(mode="json"), report.metrics
    scores = f"mIoU all {percent(means.all)} %, old {percent(means.old)}, new {percent(means.new)}"
    if only_found(run.session):
        return nothing_to_do(_stands(run.session, scores), content)
    title = f"{report.benchmark} {report.method}, {report.scenario}, seed {report.seed}"
    address = run_folder(run.settings, run.spec) / "report.html"
    rows = [
        {"step": step.step, "classes": step.n_classes}
        | {key: percent(getattr(step.metrics, key)) for key in ("old", "new", "all")}
        for step in report.steps
    ]
    notes = [[note.rule, note.says, note.todo] for note in report.health]
    page = [*stage_lines(run.session), "", f"After the last step: {scores}.", ""]
    page += [*table(["health", "what was seen", "what to do"], notes), ""] if notes else []
    page += where(run.session, address)
    tell_page(f"summary-{report.run}", markdown(title, page), f"what became of {title}")
    tell_table(f"metrics-{report.run}", rows, f"mIoU %, convention C, per step of {title}")
    unhealthy = [note.rule for note in report.health if note.serious]
    told = f"{scores}; unhealthy: {', '.join(dict.fromkeys(unhealthy))}" if unhealthy else scores
    return ended(run.session, told, content)


def fewshot_ended(run: FewShotRun, report: FewShotReport) -> Any:
    """The same of a few-shot run."""
    content = report.model_dump(mode="json")
    scores = f"mIoU novel {percent(report.novel.mean_iou)} %, base {percent(report.base.mean_iou)}"
    if only_found(run.session):
        return nothing_to_do(_stands(run.session, scores), content)
    title = f"{report.benchmark} fold {report.fold}, {report.head} ({report.tuning}), {report.shots} shot"
    address = fewshot_folder(run.settings, run.spec) / "fewshot.html"
    page = [*stage_lines(run.session), "", f"Over frozen episodes: {scores}.", "", *where(run.session, address)]
    tell_page(f"summary-{report.run}", markdown(title, page), f"what became of {title}")
    return ended(run.session, scores, content)


def comparison_ended(session: Session, report: ComparisonReport | FewShotComparisonReport) -> Any:
    """The same of a comparison, with its tables; it is written anew each time."""
    lines: list[str] = []
    for one in report.tables:
        lines += ["", f"## {plain(one.title)}", "", *table(["", *one.columns], [[n, *cells] for n, cells in one.rows])]
    title, address = f"{report.benchmark}: comparison", Path(report.folder) / "compare.html"
    page = [*stage_lines(session), *lines, "", *where(session, address)]
    tell_page(f"summary-{address.parent.name}", markdown(title, page), f"what became of {title}")
    return ended(session, f"{len(report.runs)} runs compared", report.model_dump(mode="json"))


def gate_ended(session: Session, report: GateReport, path: Path) -> Any:
    """The state of a flow whose gate has spoken: "Promoted", or "Not promoted", which is no failure."""
    rows = [dict(zip(("class", *GATE_COLUMNS[:-1], "told"), row, strict=True)) for row in gate_rows(report.verdict)]
    rules = [[rule, said, told] for rule, said, told in rule_rows(report.verdict)]
    own = table(["rule, one seed", "outcome", "why"], rule_rows(report.own_verdict)) if report.own_verdict else []
    page = [
        f"Model {plain(report.challengers[0][:12])} {OUTCOMES[report.outcome]}: {plain(report.reason)}.",
        "",
        *table(["rule", "outcome", "why"], rules),
        *(["", *own] if own else []),
        "",
        *table(["class", *GATE_COLUMNS], gate_rows(report.verdict)),
        "",
        *stage_lines(session),
        "",
        *where(session, path.with_suffix(".html")),
    ]
    tell_page(f"gate-{report.alias}", markdown(report.title, page), report.title)
    tell_table(f"gate-table-{report.alias}", rows, f"IoU % on the guard set, {report.title}")
    content = report.model_dump(mode="json") | {"path": str(path)}
    name = PROMOTED if report.outcome == "promoted" else NOT_PROMOTED
    return Completed(name=name, message=f"{report.outcome}: {report.reason}", data=content)


def ended(session: Session, told: str, content: Any) -> Any:
    """The state of a flow that made something.

    Args:
        told: what came of it, as a part of a sentence. content: for who called the flow.
    """
    made = sum(note.seconds is not None for note in session.stages.values())
    found = len(session.stages) - made - (REPORT in session.stages)
    return Completed(message=f"{made} parts made, {found} found; {told}", data=content)


def only_found(session: Session) -> bool:
    """Whether a run's report was found, and everything that it is about: nothing is told then but the state."""
    return REPORT in session.stages and all(note.seconds is None for note in session.stages.values())


def _stands(session: Session, scores: str) -> str:
    return f"all {len(session.stages) - 1} parts stand, and their report: {scores}"


def nothing_to_do(why: str, content: Any) -> Any:
    """The state of a flow that had nothing to do, which is said."""
    return Completed(name=NOTHING, message=why, data=content)


def stage_lines(session: Session) -> list[str]:
    """A table of what was found and what was made."""
    notes = [note for key, note in session.stages.items() if key != REPORT]
    return table(["part", "found or made"], [[note.title, note.told] for note in notes])


def where(session: Session, report: Path) -> list[str]:
    """Who started it, and where its report and the inspector are."""
    lines = [f"Started by {plain(session.started_by)}.", ""] if session.started_by else []
    lines += [f"Report: `{report.resolve()}`"]
    try:
        service = service_of(session.settings.root)
    except FormatError:  # a damaged card of the service: who uses the service is told
        service = None
    if service is not None:
        kind = {"runs": "runs", "fewshot": "fewshot", "comparisons": "comparisons"}.get(report.parent.parent.name)
        page = f"/{kind}/{quote(report.parent.name)}" if kind else ""
        lines += ["", f"Inspector: [{service.inspector}{page}]({service.inspector}{page})"]
    return lines


def markdown(title: str, lines: Iterable[str]) -> str:
    """A page of text under a title."""
    return "\n".join([f"# {plain(title)}", "", *lines, ""])


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a table."""
    head = [f"| {' | '.join(map(plain, columns))} |", f"|{'---|' * len(columns)}"]
    return head + [f"| {' | '.join(plain(cell) for cell in row)} |" for row in rows]


def plain(text: object) -> str:
    """Text that draws no table, tag or link of its own."""
    escaped = str(text).replace("\\", "\\\\")
    for character in "|<>[]`*_":
        escaped = escaped.replace(character, f"\\{character}")
    return " ".join(escaped.split())
