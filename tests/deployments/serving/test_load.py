"""Many clients at once, malformed requests between theirs, and an alias that moves: nobody is turned away."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.serve import MALFORMED, MOVES, REQUESTS, Measured, measure


def sound(found: Measured, requests: int, malformed: int) -> None:
    assert found.wrong == {}
    assert len(found.taken) == requests
    assert len(found.models) == 2, "both models answered, each with its own pictures"
    assert sum(found.refused.values()) == malformed
    assert all(400 <= status < 500 for status in found.refused)


def test_8_clients_and_a_moving_alias(tmp_path: Path) -> None:
    sound(measure(tmp_path, 200, 50, 1), 200, 50)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_2000_requests(tmp_path: Path) -> None:
    found = measure(tmp_path)
    sound(found, REQUESTS, MALFORMED)
    assert MOVES > 1
    before, after = found.memory[0], found.memory[-1]
    assert after < 1.1 * before + (16 << 20), f"{before} bytes after 200 requests, {after} after all"
