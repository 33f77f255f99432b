"""Which models are in use and how they came to be: aliases and their moves, gates, schedules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from deployments.inspector.desk import DeskOf
from deployments.inspector.html import in_path, page
from deployments.inspector.links import Link, linked
from deployments.schedules import Schedule, read_schedules
from stores.gates import FOLDER as GATES
from stores.gates import gate_path, read_gates
from wilss.aliases import PREVIOUS, Move, after, moves_of
from wilss.errors import ArtefactNotFoundError, FormatError
from wilss.layout import artefact_folder
from wilss.report.gate import GATE_COLUMNS, OUTCOMES, GateReport, gate_rows, rule_rows

router = APIRouter()
MOST_MOVES = 50
MOST_GATES = 50


@dataclass(frozen=True)
class AliasLine:
    """An alias. model: what it points to. gone: whether that is not in the store. since: when and by whom it came."""

    name: str
    model: Link
    gone: bool
    move: Move


@dataclass(frozen=True)
class MoveLine:
    """A move of an alias, its models as links, "" for none."""

    move: Move
    before: Link
    after: Link


@router.get("/use")
def in_use(request: Request, desk: DeskOf) -> HTMLResponse:
    """What is in use, who put it there, what the gates said, and what runs by itself."""
    moves, schedules, gates, problems = desk_facts(desk.root)
    recent = moves[::-1][:MOST_MOVES]
    return page(
        request,
        "used.html.j2",
        "In use",
        aliases=list(alias_lines(desk.root, moves)),
        moves=[MoveLine(move, _model(move.before), _model(move.after)) for move in recent],
        n_moves=len(moves),
        gates=[(gate, _gate_link(desk.root, gate), OUTCOMES[gate.outcome]) for gate in gates[:MOST_GATES]],
        n_gates=len(gates),
        schedules=schedules,
        problems=problems,
    )


@router.get("/gates/{name}")
def gate(request: Request, desk: DeskOf, name: str) -> HTMLResponse:
    """One gate: its rules, every class, and what was compared."""
    known = {path.stem: path for path in (desk.root / GATES).glob("*.json")}
    if name not in known:
        raise ArtefactNotFoundError(f"there is no gate '{name[:80]}'; the page 'In use' lists them")
    record = GateReport.read(known[name])
    verdicts = {"Mean of the seeds" if record.own_verdict else "Rules": record.verdict}
    if record.own_verdict:
        verdicts[f"Seed {record.seeds[0]}, which may be promoted"] = record.own_verdict
    return page(
        request,
        "gate_record.html.j2",
        record.title,
        record=record,
        outcome=OUTCOMES[record.outcome],
        tables=[(title, rule_rows(one), gate_rows(one), one.notes) for title, one in verdicts.items()],
        columns=GATE_COLUMNS,
        challengers=[_model(digest) for digest in record.challengers],
        champion=_model(record.champion),
    )


def desk_facts(root: Path) -> tuple[tuple[Move, ...], list[Schedule], list[GateReport], list[FormatError]]:
    """Moves, schedules and gates of a root, and what is wrong with those that cannot be read."""
    problems: list[FormatError] = []
    moves: tuple[Move, ...] = ()
    schedules: list[Schedule] = []
    try:
        moves = moves_of(root)
    except FormatError as error:
        problems.append(error)
    try:
        schedules = read_schedules(root)
    except FormatError as error:
        problems.append(error)
    return moves, schedules, list(read_gates(root)), problems


def alias_lines(root: Path, moves: tuple[Move, ...]) -> Iterable[AliasLine]:
    """Every alias with the move that brought it where it is."""
    for name, digest in after(moves).items():
        brought = next(move for move in reversed(moves) if _brought(move, name, digest))
        yield AliasLine(name, _model(digest), not artefact_folder(root, "checkpoints", digest).is_dir(), brought)


def _brought(move: Move, name: str, digest: str) -> bool:
    return (move.alias, move.after) == (name, digest) or (name == PREVIOUS and move.previous == digest)


def _model(digest: str | None) -> Link:
    return linked("checkpoints", digest) if digest else Link.to("", "")


def _gate_link(root: Path, record: GateReport) -> Link:
    name = gate_path(root, record).stem
    return Link.to(record.written[:16].replace("T", " "), f"/gates/{in_path(name)}")
