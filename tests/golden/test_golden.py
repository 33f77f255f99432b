"""Digests and losses that stay as they are unless a commit says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden.measure import FILE, digests, flat, losses

KNOWN: dict[str, Any] = json.loads(FILE.read_text())


def test_digests_of_every_node(tmp_path: Path) -> None:
    found = digests(tmp_path)
    assert len(found) >= 30
    assert found == KNOWN["digests"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("prefect_backend")
def test_losses_and_scores_of_every_method_and_head(tmp_path: Path) -> None:
    """Losses to a thousandth, as other processors add up in another order; scores, of few pixels, to a hundredth.

    Where a loss was seen to move further with the instruction set (`tests.golden.make`), to twice of that.
    """
    found = losses(tmp_path)
    assert set(found) == set(KNOWN["losses"])
    for name, known in KNOWN["losses"].items():
        history, known_history = found[name].pop("history"), known.pop("history")
        moves, seen = KNOWN["spread"].get(name, {}), flat(history)
        assert set(seen) == set(flat(known_history)), name
        for where, value in flat(known_history).items():
            assert seen[where] == pytest.approx(value, rel=max(1e-3, 2 * moves.get(where, 0)), abs=1e-5), (name, where)
        assert flat(found[name]) == pytest.approx(flat(known), abs=1e-2), name
