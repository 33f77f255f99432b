"""How a step is learnt: a small contract and the methods behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wilss.errors import SpecError, did_you_mean
from wilss.learn.methods.contract import Method, StepContext
from wilss.learn.methods.finetune import Finetune
from wilss.learn.methods.fmwiss import Fmwiss, FmwissSpec
from wilss.learn.methods.wilson import Wilson, WilsonSpec

__all__ = ["METHODS", "Fmwiss", "FmwissSpec", "Method", "StepContext", "Wilson", "WilsonSpec", "build_method"]


@dataclass(frozen=True)
class MethodEntry:
    """A method by name.

    section: part of a run's specification that holds its settings. uses_labels: whether it learns from a label set.
    version: of its code, see `wilss.digest.code_version`.
    """

    build: Callable[[StepContext], Method]
    section: str | None
    uses_labels: bool
    version: int = 1


METHODS: dict[str, MethodEntry] = {
    "fmwiss": MethodEntry(Fmwiss, "fmwiss", uses_labels=True),
    "wilson": MethodEntry(Wilson, "wilson", uses_labels=False, version=2),
    "finetune": MethodEntry(Finetune, None, uses_labels=True),
}
"""The incremental loop knows nothing else of a method."""


def build_method(name: str, context: StepContext) -> Method:
    """Build a method by name. Raises SpecError with the closest name."""
    if name not in METHODS:
        raise SpecError(f"unknown method '{name}'.{did_you_mean(name, METHODS)}")
    return METHODS[name].build(context)
