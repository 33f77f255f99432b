"""Records of gates: written, found again, passed over where they are damaged; and what each outcome leaves to do."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from stores.gates import GateQuestion, gate_of_run, gate_path, read_gates, settled, signature, write_gate
from stores.guards import GuardSet, _read
from tests.fuzz.mutate import spoil_json, spoil_text
from wilss.damage import seal_of
from wilss.errors import FormatError
from wilss.measure.gate import judge
from wilss.measure.spec import GateSpec
from wilss.report.gate import OUTCOMES, GateReport, Outcome

GATE = GateSpec(least_images=1, least_per_class=0)
OLD, NEW, OTHER = "a" * 32, "b" * 32, "c" * 32
EVIL = "<script>alert(1)</script>"


def report(outcome: Outcome = "kept out", **changes: Any) -> GateReport:
    champion = {"background": 0.9, "dog": 0.6, EVIL: 0.5}
    verdict = judge(GATE, {**champion, "dog": 0.1}, champion, 3, {"dog": 1})
    facts: dict[str, Any] = {
        "format": GateReport.FORMAT,
        "run": "retrain ../../x | y",
        "flow_run": "0123-45",
        "written": "2026-01-02T03:04:05.678+00:00",
        "benchmark": "mine",
        "method": "fmwiss",
        "scenario": "overlap",
        "step": 1,
        "seeds": (0,),
        "alias": "champion",
        "champion": OLD,
        "challengers": (NEW,),
        "guard": "winter",
        "guard_images": ("1", EVIL),
        "guard_data": "d" * 32,
        "gate": GATE,
        "verdict": verdict,
        "outcome": outcome,
        "reason": "dog lost",
    }
    return GateReport.model_validate(facts | changes)


def asked(**changes: Any) -> GateQuestion:
    facts: dict[str, Any] = {
        "alias": "champion",
        "champion": OLD,
        "challengers": (NEW,),
        "facts": lambda: ("winter", "d" * 32, GATE),
    }
    return GateQuestion(**(facts | changes))


def test_a_record_is_found_again_in_a_place_that_its_name_cannot_leave(tmp_path: Path) -> None:
    written = write_gate(tmp_path, report())
    (path,) = tmp_path.rglob("*.json")
    assert path == gate_path(tmp_path, written)
    assert path.name == "retrain-x-y-20260102T030405678-0123-45.json"
    assert path.parent == tmp_path / "gates"
    assert list(read_gates(tmp_path)) == [written]
    assert gate_of_run(tmp_path, "0123-45") == written
    assert gate_of_run(tmp_path, "") is None
    page = path.with_suffix(".html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_the_newest_comes_first_and_what_comes_of_it_takes_its_place(tmp_path: Path) -> None:
    first = write_gate(tmp_path, report("waiting"))
    write_gate(tmp_path, report(written="2025-01-01T00:00:00.000+00:00", flow_run="9"))
    write_gate(tmp_path, first.model_copy(update={"outcome": "declined"}))
    assert [one.outcome for one in read_gates(tmp_path)] == ["declined", "kept out"]


def test_a_damaged_one_is_said_and_decides_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = gate_path(tmp_path, write_gate(tmp_path, report()))
    path.write_text(path.read_text().replace(OLD, OTHER))
    assert list(read_gates(tmp_path)) == []
    assert "its content is not what was written" in capsys.readouterr().err
    assert settled(tmp_path, asked()) == ""


@pytest.mark.parametrize("kind", ["gate", "guard"])
def test_nothing_spoilt_ends_in_another_error(tmp_path: Path, kind: str) -> None:
    """With a seal that fits, so that what is below it is read."""
    rng, path = random.Random(3), tmp_path / "x.json"
    guard = GuardSet(name="x", benchmark="mine", created="today", classes=("dog",), images=("1",), data="d")
    text = report().text() if kind == "gate" else guard.model_dump_json()
    refused = 0
    for number in range(300):
        try:
            path.write_bytes(spoil_json(text, rng) if number % 3 else spoil_text(text, rng))
            content = json.loads(path.read_bytes())
            if isinstance(content, dict):
                path.write_text(json.dumps(content | {"seal": seal_of(content)}))
        except (ValueError, RecursionError):  # it is no JSON any more, or nothing that can be written
            pass
        try:
            _ = GateReport.read(path) if kind == "gate" else _read(path)
        except FormatError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    ("before", "question", "told"),
    [
        (report("kept out"), asked(), "when model bbbbbbbbbbbb was kept out: dog lost"),
        (report("kept out"), asked(champion=OTHER), ""),  # against another model it may be better
        (report("kept out"), asked(champion=None), ""),
        (report("kept out"), asked(facts=lambda: ("winter", "e" * 32, GATE)), ""),
        (report("kept out"), asked(facts=lambda: ("summer", "d" * 32, GATE)), ""),
        (report("kept out"), asked(facts=lambda: ("winter", "d" * 32, GateSpec(floor=0.9))), ""),
        (report("kept out"), asked(alias="another"), ""),
        (report("kept out"), asked(challengers=(NEW, OTHER)), ""),
        (report("promoted"), asked(), "was put to use on 2026-01-02 03:04 and is champion no longer"),
        (report("promoted"), asked(facts=lambda: ("summer", "", GateSpec(floor=0.9))), "is champion no longer"),
        (report("declined"), asked(), "passed on 2026-01-02 03:04; dog lost; put it to use with"),
        (report("declined"), asked(champion=OTHER), "passed on"),
        (report("no answer"), asked(), "passed on"),
        (report("waiting", deadline="2020-01-01T00:00:00+00:00"), asked(), "nobody answered until 2020-01-01 00:00"),
        (report("waiting", deadline="2999-01-01T00:00:00+00:00"), asked(), "waits for an answer until 2999-01-01"),
        (report("passed"), asked(), ""),  # the process was killed before the alias moved
        (report("failed"), asked(), ""),
        (report("overtaken"), asked(), ""),
        (report("failed"), asked(champion=NEW), "nothing has changed: champion is this very model, bbbbbbbbbbbb"),
    ],
)
def test_what_is_left_to_do_after_each_outcome(
    tmp_path: Path, before: GateReport, question: GateQuestion, told: str
) -> None:
    write_gate(tmp_path, before)
    found = settled(tmp_path, question)
    assert (told in found) if told else (found == "")


def test_who_answers_signs_in_one_harmless_line() -> None:
    assert signature("Ada\n  L\x1b[2J") == "Ada L\\x1b[2J"
    assert (len(signature("x" * 300)), signature(" ")) == (100, "somebody")


def test_every_outcome_has_words() -> None:
    assert set(OUTCOMES) == set(GateReport.model_fields["outcome"].annotation.__args__)  # type: ignore[union-attr]
