"""What is printed of students and of moves of their aliases."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flows.cli.printing import megabytes, print_table, show
from wilss.aliases import PREVIOUS, Move
from wilss.report.records import percent

if TYPE_CHECKING:
    from stores.models.listing import Student


def print_move(move: Move, seen: str | None) -> None:
    """Say what moved from where to where.

    Args:
        seen: what the alias pointed to before the command.
    """
    if seen == move.after and seen is not None:
        since = move.when[:19].replace("T", " ")
        show(f"{move.alias} points to {short(seen)} already, since {since} UTC ({move.who}); nothing was moved")
        return
    show(f"{move.alias}: {short(move.before)} -> {short(move.after)}")
    if move.previous:
        show(f"{PREVIOUS}: {short(move.previous)} (go back with 'wilss models rollback')")


def short(digest: str | None) -> str:
    """The first digits of a digest."""
    return digest[:12] if digest else "nothing"


def student_row(one: Student) -> list[str]:
    """A student's row in the list."""
    made, names = one.created[:16].replace("T", " "), ", ".join(one.aliases) or "-"
    card = one.card
    counts = [str(card.step), str(len(card.classes)), percent(one.score), megabytes(one.bytes)]
    return [one.digest[:12], names, made, card.benchmark, *counts]


def plain_student(one: Student) -> dict[str, Any]:
    """What a list says of a student, as plain data; scores are shares in [0, 1]."""
    return {
        "digest": one.digest,
        "aliases": list(one.aliases),
        "created": one.created,
        "benchmark": one.card.benchmark,
        "step": one.card.step,
        "classes": list(one.card.classes),
        "all": one.score,
        "bytes": one.bytes,
        "parents": dict(one.parents),
        "evaluations": [asdict(evaluated) for evaluated in one.evaluations],
    }


def print_student(one: Student, moves: list[Move]) -> None:
    """Everything that is known of a student.

    Args:
        moves: in which it was named.
    """
    card = one.card
    show(f"model {one.digest}, made {one.created[:16].replace('T', ' ')}, {megabytes(one.bytes)} MB")
    show(f"student of step {card.step} of {card.benchmark}; called {', '.join(one.aliases) or 'nothing'}")
    start = 0
    for step, size in enumerate(card.step_sizes):
        show(f"  step {step}: {', '.join(card.classes[start : start + size])}")
        start += size
    print_table("made from", ["what", "digest"], [[role, digest[:12]] for role, digest in one.parents.items()], True)
    rows = [
        [e.digest[:12], e.created[:16].replace("T", " "), str(e.images), *map(percent, (e.old, e.new, e.all))]
        for e in one.evaluations
    ]
    print_table("evaluations: mIoU %, convention C", ["evaluation", "made", "images", "old", "new", "all"], rows)
    told = [
        [m.when[:19].replace("T", " "), m.who, m.what, m.alias, short(m.before), short(m.after), m.why, m.evidence]
        for m in moves
    ]
    print_table("moves of aliases", ["when (UTC)", "who", "what", "alias", "from", "to", "why", "evidence"], told, True)
