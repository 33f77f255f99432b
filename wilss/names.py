"""What there is to choose from, by name, registrations of one's own included. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping

from wilss.data.families import incremental_families
from wilss.fewshot.heads import HEADS
from wilss.foundation.kinds import GROUPERS, SCORERS, WELL_KNOWN, Kind
from wilss.learn.methods import METHODS
from wilss.presets import PRESETS
from wilss.protocol import benchmarks


def list_methods() -> list[str]:
    """Ways to learn a step."""
    return list(METHODS)


def list_heads() -> list[str]:
    """Few-shot heads."""
    return list(HEADS)


def list_scorers() -> list[str]:
    """Scorers to start from; ``KIND:MODEL`` stands for kinds that take any model."""
    return _models(SCORERS)


def list_groupers() -> list[str]:
    """Groupers, as `list_scorers`."""
    return _models(GROUPERS)


def list_families() -> list[str]:
    """Data families of incremental runs."""
    return list(incremental_families())


def list_benchmarks() -> list[str]:
    """Built-in incremental benchmarks."""
    return list(benchmarks())


def list_presets() -> list[str]:
    """Named settings of incremental runs."""
    return list(PRESETS)


def _models(kinds: Mapping[str, Kind]) -> list[str]:
    named = [name for name in WELL_KNOWN if name.partition(":")[0] in kinds]
    return named + [f"{kind}:MODEL" for kind in kinds if not any(name.startswith(f"{kind}:") for name in named)]
