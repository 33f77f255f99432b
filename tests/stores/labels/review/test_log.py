"""The file of acts: several processes, kills, lines that are torn and lines that are damaged."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest

from stores.labels.review import Change, ConflictError, Review, RowState
from stores.labels.review.log import sealed, unsealed
from stores.labels.review.state import Act
from wilss.errors import DamagedArtefactError

ACCEPTED = RowState("accepted")
forked = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
FORK = multiprocessing.get_context("fork")


def say(review: Review, image: str, who: str = "ada") -> int:
    return review.act(who, "accept", [Change(image, "cat", ACCEPTED, 0)]).n


def work(folder: Path, who: str, count: int) -> None:
    review = Review(folder)
    for k in range(count):
        say(review, f"{who}-{k}", who)
        try:
            review.act(who, "note", [Change("shared", "", RowState(note=who), review.version("shared", ""))])
        except ConflictError:
            review.refresh()


@forked
def test_two_processes_write_one_review(tmp_path: Path) -> None:
    processes = [FORK.Process(target=work, args=(tmp_path / "r", who, 40)) for who in ("ada", "bob")]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    review = Review(tmp_path / "r")
    images = [change.image for act in review.acts for change in act.changes]
    for who in ("ada", "bob"):
        assert [image for image in images if image.startswith(who)] == [f"{who}-{k}" for k in range(40)]
    notes = [(c.before.note, c.after.note) for act in review.history("shared")[::-1] for c in act.changes]
    assert [before for before, _ in notes[1:]] == [after for _, after in notes[:-1]], (
        "nobody wrote over what was unseen"
    )


def write_on(folder: Path, seed: int, acks: int) -> None:
    review = Review(folder)
    for k in range(1000):
        n = say(review, f"{seed}-{k}")
        os.write(acks, f"{seed}-{k} {n}\n".encode())


@forked
def test_fifty_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    gen, (seen, told) = random.Random(0), os.pipe()
    acknowledged = dict[str, int]()
    for seed in range(50):
        process = FORK.Process(target=write_on, args=(tmp_path / "r", seed, told))
        process.start()
        first = os.read(seen, 1 << 20)
        time.sleep(gen.random() * 0.02)
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join(30)
        os.write(told, b"end 0\n")
        lines = (first + os.read(seen, 1 << 20)).decode().splitlines()
        acknowledged |= {image: int(n) for image, n in map(str.split, lines) if image != "end"}
        review = Review(tmp_path / "r")
        assert {review.acts[n - 1].changes[0].image: n for n in acknowledged.values()} == acknowledged
    assert len(acknowledged) >= 50


def test_a_line_without_its_end_is_passed_over_and_cut_off(tmp_path: Path) -> None:
    review = Review(tmp_path / "r")
    path = review.folder / "acts.jsonl"
    say(review, "a")
    whole = path.stat().st_size
    say(review, "b")
    content = path.read_bytes()
    for end in range(whole, len(content)):
        path.write_bytes(content[:end])
        review = Review(tmp_path / "r")
        assert review.last == 1
        assert path.stat().st_size == end, "looking changes nothing"
        assert say(review, "c") == 2
        assert [act.changes[0].image for act in Review(tmp_path / "r").acts] == ["a", "c"]
        assert not review.refresh()


def test_a_reader_meets_a_line_that_is_being_written(tmp_path: Path) -> None:
    writer = Review(tmp_path / "r")
    say(writer, "a")
    say(writer, "b")
    path = writer.folder / "acts.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    reader = Review(tmp_path / "r")
    assert reader.last == 1
    with path.open("ab") as handle:
        handle.write(content[-5:])
    assert reader.refresh()
    assert reader.last == 2


def damage_in_the_middle(lines: list[bytes]) -> dict[str, list[bytes]]:
    other = sealed(Act(2, "ada", "2026-01-01T00:00:00.000000+00:00", "accept", (), None), "")[0]
    return {
        "a byte is another": [lines[0], lines[1].replace(b"b", b"q"), lines[2]],
        "a line is gone": [lines[0], lines[2]],
        "a line came twice": [lines[0], lines[1], lines[1]],
        "lines changed places": [lines[0], lines[2], lines[1]],
        "a line of another review": [lines[0], other, lines[2]],
        "an empty line": [lines[0], b"\n", lines[1], lines[2]],
        "zeros": [lines[0], b"\0" * 40 + b"\n", lines[2]],
        "no text": [lines[0], b"\xff\xfe\n", lines[2]],
    }


@pytest.mark.parametrize("case", list(damage_in_the_middle([b"", b"", b""])))
def test_damage_in_the_middle_is_told(case: str, tmp_path: Path) -> None:
    review = Review(tmp_path / "r")
    for image in "abc":
        say(review, image)
    path = review.folder / "acts.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = damage_in_the_middle(lines)[case]
    path.write_bytes(b"".join(damaged))
    number = 3 if case == "a line came twice" else 2
    with pytest.raises(
        DamagedArtefactError, match=f"acts.jsonl' is damaged .line {number}: .* put a copy of the file back"
    ):
        Review(tmp_path / "r")


def test_a_file_that_was_put_back_is_read_anew(tmp_path: Path) -> None:
    review = Review(tmp_path / "r")
    say(review, "a")
    path = review.folder / "acts.jsonl"
    copy = path.read_bytes()
    say(review, "b")
    (tmp_path / "copy").write_bytes(copy)
    (tmp_path / "copy").replace(path)
    assert review.refresh()
    assert review.last == 1
    path.unlink()
    assert review.refresh()
    assert (review.last, dict(review.states)) == (0, {})


def test_a_damaged_file_in_the_place_of_the_one_that_was_read_is_read_anew_when_it_is_mended(tmp_path: Path) -> None:
    review = Review(tmp_path / "r")
    for image in "abc":
        say(review, image)
    path = tmp_path / "r" / "acts.jsonl"
    first = path.read_bytes().splitlines(keepends=True)[0]
    path.write_bytes(b"?" + first[1:])
    with pytest.raises(DamagedArtefactError):
        review.refresh()
    path.write_bytes(first)
    assert review.refresh()
    assert [act.n for act in review.acts] == [1]
    assert say(review, "d") == 2
    assert [act.n for act in Review(tmp_path / "r").acts] == [1, 2]


def test_damage_that_is_mended_is_read_in_full(tmp_path: Path) -> None:
    review = Review(tmp_path / "r")
    path = review.folder / "acts.jsonl"
    other = Review(tmp_path / "r")
    for image in "abc":
        say(other, image)
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b"cat", b"cow") + lines[2])
    for _ in range(2):
        with pytest.raises(DamagedArtefactError, match="line 2"):
            review.refresh()
    path.write_bytes(content)
    review.refresh()
    assert [act.changes[0].image for act in review.acts] == ["a", "b", "c"]


def _line(**change: object) -> bytes:
    facts = {"n": 1, "who": "ada", "when": "2026-01-31T10:00:00.000000+00:00", "what": "accept", "of": None}
    row = {"image": "a", "class": "cat", "before": {}, "after": {"verdict": "accepted"}}
    row |= {key: change.pop(key) for key in list(change) if key in row}
    return _sealed({**facts, "changes": [row], **change})


def _sealed(content: dict[str, object]) -> bytes:
    import hashlib
    import json

    body = json.dumps(content).encode()
    return body[:-1] + f',"seal":"{hashlib.sha256(body).hexdigest()[:32]}"}}\n'.encode()


def test_the_line_of_a_hand_is_read() -> None:
    assert unsealed(_line(), "").changes[0].after == ACCEPTED


@pytest.mark.parametrize(
    "change",
    [
        *({"n": value} for value in (True, "1", 1.0, None)),
        *({"who": value} for value in ("", 5, "a\x1b", " ada")),
        *({"when": value} for value in ("", "yesterday", 5, "2026-01-31T10:00:00", "2026-01-31T10:00:00+01:00")),
        *({"what": value} for value in ("", "dance", 5, ["accept"], "undo")),
        *({"of": value} for value in (1, 0, "1", True)),
        *({"changes": value} for value in ([], {}, "x", None, [5], [{"image": "a"}])),
        *({"image": value} for value in ("", 5, None, "x" * 5000)),
        *({"class": value} for value in ("", 5, None)),
        *({"after": value} for value in (5, [], {"verdict": "x"}, {"verdict": ["x"]}, {"mask": "../x"}, {"odd": "x"})),
        *({"before": value} for value in (5, [], {"verdict": 5}, {"note": ""})),
    ],
)
def test_odd_lines_with_a_right_seal_are_damage(change: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "acts.jsonl").write_bytes(_line(**change))
    with pytest.raises(DamagedArtefactError, match="line 1: it is no act of a review"):
        Review(tmp_path)
