"""The record of a gate, and its page: what was compared on which images, what each rule said, and what came of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wilss.measure.gate import ClassLine, Verdict, points
from wilss.measure.spec import GateSpec
from wilss.report.pages import render
from wilss.report.records import Part, Record

Outcome = Literal["passed", "promoted", "kept out", "waiting", "declined", "no answer", "overtaken", "failed"]
OUTCOMES: dict[Outcome, str] = {
    "passed": "passed the gate",
    "promoted": "passed the gate and is in use",
    "kept out": "kept out by the gate",
    "waiting": "passed the gate and waits for a person's answer",
    "declined": "passed the gate, and a person said no",
    "no answer": "passed the gate, and nobody answered in time, which means no",
    "overtaken": "passed the gate, but another model took the alias meanwhile",
    "failed": "passed the gate, and could not be put to use",
}


class Answer(Part):
    """What a person said of a model that passed. when: UTC, ISO 8601."""

    approve: bool
    who: str
    why: str = ""
    when: str


class GateReport(Record):
    """What a gate said of a model, and what came of it.

    run, flow_run: name and id of the flow run. written: UTC, ISO 8601. champion: digest of the model that was in use;
    None for none. challengers: digests, one a seed; the first is the one that may be promoted. guard_data: digest of
    the guard images' files and labels. verdict: on the mean of the seeds; own_verdict: on the first one alone, where
    there are several. scores: role -> digest of its evaluation on the guard set. deadline: of an answer, UTC. reason:
    of the outcome, in words.
    """

    run: str
    flow_run: str = ""
    written: str
    benchmark: str
    method: str
    scenario: str
    step: int
    seeds: tuple[int, ...]
    alias: str
    champion: str | None
    challengers: tuple[str, ...]
    guard: str
    guard_images: tuple[str, ...]
    guard_data: str
    gate: GateSpec
    verdict: Verdict
    own_verdict: Verdict | None = None
    scores: dict[str, str] = Field(default_factory=dict)
    outcome: Outcome
    reason: str
    deadline: str = ""
    answer: Answer | None = None

    @property
    def passed(self) -> bool:
        """Whether every rule was met, by the mean and by the model that may be promoted."""
        return self.verdict.passed and (self.own_verdict is None or self.own_verdict.passed)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences of the rules that were not met."""
        own = self.own_verdict.reasons if self.own_verdict else ()
        return (*self.verdict.reasons, *(f"seed {self.seeds[0]} alone: {told}" for told in own))

    @property
    def title(self) -> str:
        """What its page is called."""
        return f"{self.benchmark}, step {self.step}: gate of {self.alias}"


def gate_rows(verdict: Verdict) -> list[tuple[str, str, str, str, str, str]]:
    """A row for each class: name, IoU of champion and challenger in points, change, guard images, rules it failed."""
    return [
        (line.name, points(line.champion), points(line.challenger), _change(line), _count(line), _fate(line))
        for line in verdict.classes
    ]


def rule_rows(verdict: Verdict) -> list[tuple[str, str, str]]:
    """A row for each rule: name, what it said, sentence."""
    said = [(rule, "met" if rule.passed else "not met") for rule in verdict.rules]
    return [(rule.rule, word if rule.asked else "not asked", rule.told) for rule, word in said]


GATE_COLUMNS = ("champion", "challenger", "change", "guard images", "")


def gate_page(report: GateReport) -> str:
    """The page of a gate."""
    verdicts = {"Mean of the seeds" if report.own_verdict else "Rules": report.verdict}
    if report.own_verdict:
        verdicts[f"Seed {report.seeds[0]}, which may be promoted"] = report.own_verdict
    tables = {name: (rule_rows(verdict), gate_rows(verdict), verdict) for name, verdict in verdicts.items()}
    content = {"facts": report, "tables": tables, "columns": GATE_COLUMNS, "outcome": OUTCOMES[report.outcome]}
    return render("gate.html.j2", report.title, "gate", **content, points=points)


def _change(line: ClassLine) -> str:
    return "–" if line.change is None else f"{100 * line.change:+z.2f}"


def _count(line: ClassLine) -> str:
    return "" if line.images is None else str(line.images)


def _fate(line: ClassLine) -> str:
    words = {"old": "lost too much", "new": "under the floor", "images per class": "too few images"}
    told = [words.get(rule, rule) for rule in line.failed]
    return ", ".join([*(["new"] if line.is_new else []), *told])
