"""What a trigger or a schedule asks for: the options of each kind of flow, and the parameters that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

from cyclopts import Parameter

from deployments.catalogue import DEFAULT
from flows.cli.options import NO_MACHINE_OPTIONS, NO_RUN_OPTIONS, Again, From, MachineOptions, RunOptions
from wilss.errors import SpecError


@dataclass(frozen=True)
class Wanted:
    """One run of a flow, or one a time: its parameters, and what people call it.

    parameters: those that differ from the deployment's own.
    """

    kind: str
    title: str
    parameters: Mapping[str, Any]


class Wanting(Protocol):
    """Options of a kind of flow. does: what it is, for help. machine: where the service is, and settings of the run."""

    kind: ClassVar[str]
    does: ClassVar[str]

    @property
    def machine(self) -> Any:
        """Options of the machine."""

    def wanted(self, deployment: str) -> Wanted:
        """What they ask for. Raises SpecError for what cannot be run."""


@Parameter(name="*")
@dataclass(frozen=True)
class RunWanted:
    """Options of a flow that takes a run's specification."""

    kind: ClassVar[str] = "benchmark"
    does: ClassVar[str] = "a whole benchmark: every step, from the base student to the report"

    benchmark: str | None = None
    "its name, or the path of a YAML file; left out, what the deployment named by --deployment has"
    method: str | None = None
    "fmwiss (when left out), fmwiss+, wilson, finetune or joint"
    seed: int | None = None
    "seed of everything random; 0 when left out"
    again: Again = ()
    "what is made anew although it is there; see wilss run"
    options: RunOptions = NO_RUN_OPTIONS
    machine: MachineOptions = NO_MACHINE_OPTIONS

    def wanted(self, deployment: str) -> Wanted:
        """Checked as ``wilss run`` checks it. Raises SpecError for a benchmark or a setting that does not exist."""
        spec = self._spec(deployment)
        title = self._title(spec["benchmark"] if spec else deployment)
        return Wanted(self.kind, title, {**({"spec": spec} if spec else {}), **self._own(), **self._settings()})

    def _spec(self, deployment: str) -> dict[str, Any] | None:
        if self.benchmark is None:
            if deployment == DEFAULT:
                raise SpecError("no benchmark is named; name one with --benchmark, e.g. --benchmark scenes-15-5")
            if self.method is not None or self.seed is not None or self.options != NO_RUN_OPTIONS:
                raise SpecError(
                    "settings are given, but no benchmark, which they would change; add --benchmark, or leave them out "
                    f"to take those of the deployment '{deployment}'"
                )
            return None
        from flows.cli.options import run_content, specify

        spec, settings = specify(
            self.benchmark, self.method or "fmwiss", self.seed or 0, self.options, self.machine, self.again
        )
        content = run_content(self.benchmark, self.options, settings)
        posted = picked({**content, "method": spec.method, "seed": spec.seed}, spec.shown())
        if spec.start and Path(spec.start).is_dir():  # the worker has another working folder
            posted["start"] = str(Path(spec.start).resolve())
        return posted

    def _settings(self) -> dict[str, Any]:
        given = self.machine.given(self.again)
        return {"settings": given} if given else {}

    def _own(self) -> dict[str, Any]:
        """Parameters beside specification and settings."""
        return {}

    def _title(self, of: str) -> str:
        """What people call it."""
        return f"{self.kind} of {of}"


@Parameter(name="*")
@dataclass(frozen=True)
class BaseWanted(RunWanted):
    """Options of the base step alone."""

    kind: ClassVar[str] = "base"
    does: ClassVar[str] = "the base step: student 0 and the memory bank"


@Parameter(name="*")
@dataclass(frozen=True)
class StepWanted(RunWanted):
    """Options of one step."""

    kind: ClassVar[str] = "step"
    does: ClassVar[str] = "one step from what is already there"

    step: int | None = None
    "its number; 0 is the base step; left out, what the deployment named by --deployment has"
    from_: From = None
    "alias or digest of the student that the step is learnt from, such as champion; looked up when the run begins"

    def wanted(self, deployment: str) -> Wanted:
        """See `RunWanted.wanted`."""
        if self.step is None and deployment == DEFAULT:
            raise SpecError(f"a {self.kind} is of one step; name it with --step, e.g. --step 1")
        found = super().wanted(deployment)
        spec = found.parameters.get("spec")
        require_step(self.step, spec)
        if self.from_ is None:
            return found
        if not self.step or spec is None or not self.from_:
            raise SpecError(
                f"--from '{self.from_}' is the student that a step is learnt from; name it, the benchmark and a step "
                f"that has one before it, such as --from champion --benchmark mine.yaml --step 2, not step {self.step}"
            )
        return replace(found, parameters={**found.parameters, "spec": _starting_from(spec, self.step, self.from_)})

    def _own(self) -> dict[str, Any]:
        return {} if self.step is None else {"step": self.step}

    def _title(self, of: str) -> str:
        return f"{self.kind} of {of}" if self.step is None else f"{self.kind} {self.step} of {of}"


@Parameter(name="*")
@dataclass(frozen=True)
class RelabelWanted(StepWanted):
    """Options of the labels of one step."""

    kind: ClassVar[str] = "relabel"
    does: ClassVar[str] = "the pseudo-labels of one step, without training"


def _starting_from(spec: Mapping[str, Any], step: int, student: str) -> dict[str, Any]:
    """With the student that stands for the step before. Raises SpecError where another one is given too."""
    from wilss.spec import make_spec

    if spec.get("students"):
        raise SpecError(f"--from {student} and --set students={spec['students']} both name a student; leave one out")
    started = {**spec, "students": {str(step - 1): student}}
    make_spec(started)
    return started


def require_step(step: int | None, spec: Mapping[str, Any] | None) -> None:
    """Raise SpecError for a step that a benchmark does not have."""
    if step is None or spec is None:
        return
    from wilss.spec import make_spec

    last = len(make_spec(spec).protocol.steps) - 1
    if not 0 <= step <= last:
        raise SpecError(f"step {step} does not exist; {spec['benchmark']} has the steps 0 to {last}")


def picked(given: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
    """What was given of a specification, with the values that it became: a preset fills the rest when it is read.

    Args:
        given: as the command line has it: numbers may still be texts. whole: the specification as plain data.
    """
    found: dict[str, Any] = {}
    for key, value in given.items():
        known = whole.get(key, value)
        nested = isinstance(value, Mapping) and isinstance(known, Mapping) and key != "custom"
        found[key] = picked(value, known) if nested else known
    return found
