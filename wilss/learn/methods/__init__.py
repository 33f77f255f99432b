"""How a step is learnt: a small contract and the methods behind it."""

from __future__ import annotations

from collections.abc import Callable

from wilss.errors import SpecError, did_you_mean
from wilss.learn.methods.contract import Method, StepContext
from wilss.learn.methods.finetune import Finetune
from wilss.learn.methods.fmwiss import Fmwiss, FmwissSpec

__all__ = ["METHODS", "Fmwiss", "FmwissSpec", "Method", "StepContext", "build_method"]

METHODS: dict[str, Callable[[StepContext], Method]] = {"fmwiss": Fmwiss, "finetune": Finetune}
"""Name -> constructor. The incremental loop knows nothing else of a method."""


def build_method(name: str, context: StepContext) -> Method:
    """Build a method by name. Raises SpecError with the closest name."""
    if name not in METHODS:
        raise SpecError(f"unknown method '{name}'.{did_you_mean(name, METHODS)}")
    return METHODS[name](context)
