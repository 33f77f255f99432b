"""What a run asks of its source, and how often it works a digest out: once, from plan to report."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import stores.artefacts
from wilss.data.scenes.source import ScenesSource
from wilss.digest import canonical_json
from wilss.settings import Settings
from wilss.spec import make_spec

pytestmark = pytest.mark.usefixtures("prefect_backend")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Calls by what was asked; digests by what they are of."""
    counts: Counter[str] = Counter()
    tags, fingerprint_of, digest_of = ScenesSource.tags, ScenesSource.fingerprint_of, stores.artefacts.digest_of

    def counted_tags(self: ScenesSource, split: Any) -> Any:
        counts[f"tags {split}"] += 1
        return tags(self, split)

    def counted_fingerprint(self: ScenesSource, ids: Any, classes: Any) -> str:
        counts["fingerprint_of"] += 1
        return fingerprint_of(self, ids, classes)

    def counted_digest(facts: Any) -> str:
        counts[f"digest {canonical_json(facts)}"] += 1
        return digest_of(facts)

    monkeypatch.setattr(ScenesSource, "tags", counted_tags)
    monkeypatch.setattr(ScenesSource, "fingerprint_of", counted_fingerprint)
    monkeypatch.setattr(stores.artefacts, "digest_of", counted_digest)
    return counts


@pytest.mark.slow
def test_a_run_from_plan_to_report(asked: Counter[str], tmp_path: Path) -> None:
    from flows.benchmark import run_benchmark

    spec, settings = make_spec({"benchmark": "scenes-10-2", "preset": "tiny"}), Settings(root=tmp_path)
    n_steps = len(spec.protocol.steps)
    for _ in ("made", "found"):
        asked.clear()
        run_benchmark(spec, settings)
        digests = [count for name, count in asked.items() if name.startswith("digest ")]
        assert len(digests) == 2 + 2 * n_steps + 2 * (n_steps - 1) - 1  # students, bank, evaluations; both label sets
        assert set(digests) == {1}
        assert asked["tags train"] == 1
        assert asked["fingerprint_of"] == n_steps
