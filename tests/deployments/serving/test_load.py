"""Many clients at once, malformed requests between theirs, and an alias that moves: nobody is turned away."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.serve import MALFORMED, MOVES, REQUESTS, Measured, measure, problems


def sound(found: Measured, requests: int, malformed: int) -> None:
    assert found.wrong == {}
    assert len(found.taken) == requests
    assert len(found.models) == 2, "both models answered, each with its own pictures"
    assert sum(found.refused.values()) == malformed
    assert all(400 <= status < 500 for status in found.refused)


def test_what_is_not_as_it_has_to_be_is_told() -> None:
    sound = {"errors": 0, "wrong": {}, "ratio": 2.9, "memory_before_mib": 400, "memory_after_mib": 430}
    assert problems(sound) == []
    told = problems({**sound, "errors": 2, "wrong": {"status 500": 2}, "ratio": 3.1, "memory_after_mib": 500})
    assert [said.split()[0] for said in told] == ["2", "the", "the"]


@pytest.mark.slow
def test_8_clients_and_a_moving_alias(tmp_path: Path) -> None:
    found = measure(tmp_path, 200, 50, 1)
    sound(found, 200, 50)
    facts = found.facts
    assert facts["requests"] == 200
    assert facts["p95_ms"] == pytest.approx(facts["ratio"] * facts["median_ms"])
    assert facts["memory_before_mib"] > 10


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_2000_requests(tmp_path: Path) -> None:
    found = measure(tmp_path)
    sound(found, REQUESTS, MALFORMED)
    assert MOVES > 1
    before, after = found.memory[0], found.memory[-1]
    assert after < 1.1 * before + (16 << 20), f"{before} bytes after 200 requests, {after} after all"
