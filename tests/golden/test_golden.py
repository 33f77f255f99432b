"""Digests and losses that stay as they are unless a commit says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden.measure import FILE, digests, losses

KNOWN: dict[str, Any] = json.loads(FILE.read_text())


def test_digests_of_every_node(tmp_path: Path) -> None:
    found = digests(tmp_path)
    assert len(found) >= 30
    assert found == KNOWN["digests"]


@pytest.mark.usefixtures("prefect_backend")
def test_losses_and_scores_of_every_method_and_head(tmp_path: Path) -> None:
    """Losses to a thousandth, as other processors add up in another order; scores, of few pixels, to a hundredth."""
    found = losses(tmp_path)
    assert set(found) == set(KNOWN["losses"])
    for name, known in KNOWN["losses"].items():
        history, known_history = found[name].pop("history"), known.pop("history")
        assert _flat(history) == pytest.approx(_flat(known_history), rel=1e-3, abs=1e-5), name
        assert _flat(found[name]) == pytest.approx(_flat(known), abs=1e-2), name


def _flat(content: Any, where: str = "") -> dict[str, float]:
    """Plain data as place -> number; what is None is left out on both sides alike."""
    if isinstance(content, dict):
        return {k: v for key, inner in content.items() for k, v in _flat(inner, f"{where}/{key}").items()}
    if isinstance(content, list):
        return {k: v for key, inner in enumerate(content) for k, v in _flat(inner, f"{where}/{key}").items()}
    return {} if content is None else {where: float(content)}
