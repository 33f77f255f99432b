"""Records of gates, ``<root>/gates/<run>-<time>.json``, and their pages; they keep no artefact by themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stores.progress import say
from stores.runs import write_run
from wilss.errors import FormatError
from wilss.escapes import harmless
from wilss.measure.spec import GateSpec
from wilss.report.gate import GateReport, gate_page

FOLDER = "gates"
"""Below the root."""


def now() -> str:
    """This moment, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def signature(text: str) -> str:
    """Text from others as the name of who moves an alias: on one line, without what moves a terminal, not too long."""
    return " ".join(harmless(text).split())[:100] or "somebody"


def gate_path(root: Path, report: GateReport) -> Path:
    """Where a record lies: it has the same place whatever comes of it."""
    run = re.sub(r"[^A-Za-z0-9]+", "-", report.run).strip("-")[:100] or "gate"
    moment = re.sub(r"[^0-9T]", "", report.written.partition("+")[0])
    return root / FOLDER / f"{run}-{moment}{f'-{report.flow_run[:8]}' if report.flow_run else ''}.json"


def write_gate(root: Path, report: GateReport) -> GateReport:
    """Write a record and its page, in place of what was known of it before."""
    sealed, path = report.sealed(), gate_path(root, report)
    write_run(path.parent, {path.name: sealed.text(), path.with_suffix(".html").name: gate_page(sealed)}, root)
    return sealed


def read_gates(root: Path) -> Iterator[GateReport]:
    """Every record that can be read, newest first; what is wrong with another is said, as it decides nothing."""
    found = []
    for path in sorted((root / FOLDER).glob("*.json")):
        try:
            found.append(GateReport.read(path))
        except FormatError as error:
            say(str(error))
    yield from sorted(found, key=lambda report: report.written, reverse=True)


def gate_of_run(root: Path, flow_run: str) -> GateReport | None:
    """The record that a flow run wrote before it was suspended or ended."""
    return next((report for report in read_gates(root) if flow_run and report.flow_run == flow_run), None)


@dataclass(frozen=True)
class GateQuestion:
    """What a gate is about to be asked.

    champion: None for none. challengers: digests, one a seed. facts: name and digest of the guard set, and the rules;
    asked for only where they matter.
    """

    alias: str
    champion: str | None
    challengers: tuple[str, ...]
    facts: Callable[[], tuple[str, str, GateSpec]]


def settled(root: Path, asked: GateQuestion) -> str:
    """Why nothing is to be done for models that were judged before, "" where there is something to do.

    A model that was put to use once is not put to use again by itself: who went back from it meant it.
    """
    if asked.champion is not None and asked.champion == asked.challengers[0]:
        return f"nothing has changed: {asked.alias} is this very model, {asked.champion[:12]}"
    same = (report for report in read_gates(root) if _is_about(report, asked))
    return next((told for report in same if (told := _settled(report, asked))), "")


def _is_about(report: GateReport, asked: GateQuestion) -> bool:
    return (report.alias, report.challengers) == (asked.alias, asked.challengers)


def _settled(report: GateReport, asked: GateQuestion) -> str:
    model, day = f"model {report.challengers[0][:12]}", report.written[:16].replace("T", " ")
    by_hand = f"put it to use with 'wilss models promote {report.challengers[0][:12]}' if it is wanted"
    if report.outcome == "promoted":
        return f"nothing has changed: {model} was put to use on {day} and is {report.alias} no longer; {by_hand}"
    if (report.guard, report.guard_data, report.gate) != asked.facts():
        return ""  # other images, or other rules
    if report.outcome == "waiting":
        until = report.deadline[:16].replace("T", " ")
        if report.deadline > now():
            return f"nothing has changed: {model} passed on {day} and waits for an answer until {until} UTC"
        return f"nothing has changed: {model} passed on {day}, and nobody answered until {until} UTC; {by_hand}"
    if report.outcome in ("declined", "no answer"):
        return f"nothing has changed: {model} passed on {day}; {report.reason}; {by_hand}"
    if report.outcome == "kept out" and report.champion == asked.champion:
        return f"nothing has changed since {day}, when {model} was kept out: {report.reason}"
    return ""
