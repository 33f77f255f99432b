"""How a step is learnt: a small contract and the methods behind it. Nothing of torch is loaded before one is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wilss.errors import SpecError, did_you_mean
from wilss.learn.methods.spec import FmwissSpec, WilsonSpec
from wilss.learn.spec import MethodSettings
from wilss.members import METHOD, require_members
from wilss.presets import FMWISS_PLUS

if TYPE_CHECKING:
    from wilss.learn.methods.contract import Method, StepContext


@dataclass(frozen=True)
class MethodEntry:
    """A method by name.

    build: makes it for a step t >= 1; None for a method that has none. settings: its section of a run's specification,
    which bears its name; None for a method without any. section: of another method, which it reads in place of one of
    its own. values: of that section, over those of the preset and below what is given.
    uses_labels: whether it learns from label sets. merged: whether it learns all classes at once, in one step with
    masks. version, source: of its code, see `wilss.digest.code_version`.
    """

    name: str
    build: Callable[[StepContext], Method] | None
    settings: type[MethodSettings] | None = None
    uses_labels: bool = True
    merged: bool = False
    version: int = 1
    source: str = ""
    section: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reads(self) -> str:
        """Name of the section that it reads."""
        return self.section or self.name


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
    entry.name: entry
    for entry in (
        MethodEntry("fmwiss", _fmwiss, FmwissSpec),
        MethodEntry("fmwiss+", _fmwiss, FmwissSpec, section="fmwiss", values=FMWISS_PLUS),
        MethodEntry("wilson", _wilson, WilsonSpec, uses_labels=False, version=2),
        MethodEntry("finetune", _finetune),
        MethodEntry("joint", None, uses_labels=False, merged=True),
    )
}
"""All that is known of a method outside of its own files; "joint" is the upper bound."""


def build_method(name: str, context: StepContext) -> Method:
    """Build a method by name. Raises SpecError with the closest name, or for a method without steps."""
    if name not in METHODS:
        raise SpecError(f"unknown method '{name}'.{did_you_mean(name, METHODS)}")
    build = METHODS[name].build
    if build is None:
        raise SpecError(f"{name} learns all classes at once: it has no steps after the first")
    method = build(context)
    require_members(method, METHOD, f"method '{name}'")
    return method
