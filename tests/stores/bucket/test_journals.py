"""Aliases and reviews of a root in a bucket: one line after the other, whoever writes it from wherever."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from stores.journal import Journal
from stores.labels.review.review import ConflictError, Review
from stores.labels.review.state import Change, Key, RowState
from tests.s3 import Bucket
from tests.stores.bucket.conftest import Machine
from wilss.aliases import FORM, MOVES, Move, aliases_folder, aliases_of, moves_of
from wilss.bucket.remote import remote_of
from wilss.errors import BucketError

SET = "a" * 64


def journal(root: Path) -> Journal[Move]:
    return Journal(aliases_folder(root), MOVES, FORM)


def move(log: Journal[Move], to: str) -> Move:
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    fields = {"who": "anna", "what": "alias", "alias": "mine", "before": None, "after": to}
    return Move.model_validate({"n": log.lines + 1, "when": now, **fields})


def append(root: Path, to: str) -> None:
    log = journal(root)
    with log.alone():
        log.news()
        log.append(move(log, to))


def test_a_move_on_one_machine_is_seen_on_another(machine: Machine) -> None:
    a, b = machine("a"), machine("b")
    append(a, "aaaa")
    append(b, "bbbb")
    append(a, "cccc")
    assert [one.after for one in moves_of(machine("c"))] == ["aaaa", "bbbb", "cccc"]
    remote = remote_of(b)
    assert remote
    remote.pull(again=True)
    assert aliases_of(b) == {"mine": "cccc"}


def test_lines_of_many_writers_are_all_there(machine: Machine) -> None:
    roots = [machine(name) for name in "abcd"]

    def write(root: Path) -> None:
        for _ in range(3):
            append(root, root.parent.parent.name * 4)

    threads = [threading.Thread(target=write, args=(root,)) for root in roots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    moves = moves_of(machine("e"))
    assert [one.n for one in moves] == list(range(1, 13))
    assert sorted(str(one.after) for one in moves) == sorted(3 * ["aaaa", "bbbb", "cccc", "dddd"])


def test_who_lost_the_lease_writes_nothing(machine: Machine, s3: Bucket) -> None:
    a, b = machine("a"), machine("b")
    append(a, "aaaa")
    log = journal(a)
    with log.alone():
        log.news()
        for key in s3.names():
            if "/leases/" in key:
                s3.remove(key)  # as when it ended and another machine took it
        append(b, "bbbb")
        with pytest.raises(BucketError, match=r"another machine wrote to 'aliases/moves\.jsonl'"):
            log.append(move(log, "cccc"))
    assert [one.after for one in moves_of(machine("c"))] == ["aaaa", "bbbb"]
    append(a, "dddd")
    assert aliases_of(a) == {"mine": "dddd"}


def test_a_review_of_two_machines(machine: Machine) -> None:
    a, b = (Review.open(machine(name), SET) for name in "ab")
    row, mask = Key("one", "cat"), np.eye(8, dtype=np.bool_)
    painted = a.put_mask(mask)
    a.act("anna", "paint", [Change(*row, RowState(mask=painted), 0)])
    with pytest.raises(ConflictError):
        b.act("ben", "accept", [Change(*row, RowState("accepted"), 0)])
    assert b.state(*row).mask == painted
    assert (b.mask(painted) == mask).all(), "what is named is there"
    b.act("ben", "accept", [Change(*row, RowState("accepted", painted), 1)])
    c = Review.open(machine("c"), SET)
    assert [act.who for act in c.acts] == ["anna", "ben"]
    assert (c.mask(painted) == mask).all()
