"""How a step is learnt: a small contract and the methods behind it. Nothing of torch is loaded before one is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wilss.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from wilss.learn.methods.contract import Method, StepContext


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


def _fmwiss(context: StepContext) -> Method:
    from wilss.learn.methods.fmwiss import Fmwiss

    return Fmwiss(context)


def _wilson(context: StepContext) -> Method:
    from wilss.learn.methods.wilson import Wilson

    return Wilson(context)


def _finetune(context: StepContext) -> Method:
    from wilss.learn.methods.finetune import Finetune

    return Finetune(context)


METHODS: dict[str, MethodEntry] = {
    "fmwiss": MethodEntry(_fmwiss, "fmwiss", uses_labels=True),
    "wilson": MethodEntry(_wilson, "wilson", uses_labels=False, version=2),
    "finetune": MethodEntry(_finetune, None, uses_labels=True),
}
"""The incremental loop knows nothing else of a method."""


def build_method(name: str, context: StepContext) -> Method:
    """Build a method by name. Raises SpecError with the closest name."""
    if name not in METHODS:
        raise SpecError(f"unknown method '{name}'.{did_you_mean(name, METHODS)}")
    return METHODS[name].build(context)
