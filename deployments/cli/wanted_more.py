"""What a trigger or a schedule asks for, of the kinds that are no run of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from cyclopts import Parameter

from deployments.catalogue import DEFAULT
from deployments.cli.wanted import BaseWanted, RelabelWanted, RunWanted, StepWanted, Wanted, Wanting, picked
from flows.cli.few_shot import NO_OPTIONS, FewShotOptions, ModelOptions, fewshot_specs
from flows.cli.options import (
    NO_MACHINE_OPTIONS,
    NO_RUN_OPTIONS,
    Again,
    Flag,
    MachineOptions,
    RunOptions,
    Set,
    several,
)
from wilss.errors import SpecError


@Parameter(name="*")
@dataclass(frozen=True)
class EvaluateWanted(RunWanted):
    """Options of scoring a stored model."""

    kind: ClassVar[str] = "evaluate"
    does: ClassVar[str] = "the scoring of a stored model"

    model: str = "champion"
    "alias or digest of the model that is scored"

    def _own(self) -> dict[str, Any]:
        return {"model": self.model}

    def _title(self, of: str) -> str:
        return f"evaluation of {self.model} on {of}"


@Parameter(name="*")
@dataclass(frozen=True)
class CompareWanted:
    """Options of a comparison."""

    kind: ClassVar[str] = "compare"
    does: ClassVar[str] = "a comparison of methods x seeds"

    benchmark: str | None = None
    "its name, or the path of a YAML file; left out, what the deployment named by --deployment has"
    methods: Annotated[tuple[str, ...], several()] = ()
    "all four when left out"
    seeds: Annotated[tuple[int, ...], several()] = (0, 1, 2)
    "0 1 2 when left out"
    options: RunOptions = NO_RUN_OPTIONS
    machine: MachineOptions = NO_MACHINE_OPTIONS

    def wanted(self, deployment: str) -> Wanted:
        """See `RunWanted.wanted`."""
        from flows.cli.options import run_content
        from wilss.grid import make_grid

        given = self.machine.given()
        settings = {"settings": given} if given else {}
        if self.benchmark is None:
            if deployment == DEFAULT:
                raise SpecError("no benchmark is named; name one with --benchmark, e.g. --benchmark scenes-15-5")
            return Wanted(self.kind, f"compare of {deployment}", settings)
        content = run_content(self.benchmark, self.options, self.machine.settings())
        grid = make_grid(content, self.methods, self.seeds)
        run = picked(content, grid.runs()[0].spec.shown())
        posted = {"run": run, "methods": list(grid.methods), "seeds": list(grid.seeds)}
        return Wanted(self.kind, f"compare of {run['benchmark']}", {"grid": posted, **settings})


@Parameter(name="*")
@dataclass(frozen=True)
class FewShotWanted:
    """Options of one few-shot head."""

    kind: ClassVar[str] = "few-shot"
    does: ClassVar[str] = "one few-shot head, trained and scored"

    model: ModelOptions
    again: Again = ()
    "what is made anew although it is there; see wilss few-shot"
    options: FewShotOptions = NO_OPTIONS
    machine: MachineOptions = NO_MACHINE_OPTIONS

    def wanted(self, deployment: str) -> Wanted:
        """See `RunWanted.wanted`."""
        specs, _ = fewshot_specs(self.model, self.options, self.machine, self.again)
        if len(specs) > 1:
            raise SpecError("a run has one number of shots; trigger one for each of --shots")
        spec = specs[0]
        content = {**self.options.content(self.machine), "fold": 0, "head": "", "seed": 0, "shots": 1}
        if self.model.svf:
            content["train"] = {**content.get("train", {}), "tuning": "svf"}
        given = self.machine.given(self.again)
        posted = picked(content, spec.shown())
        title = f"few-shot {spec.head} on fold {spec.fold} of {spec.benchmark}"
        return Wanted(self.kind, title, {"spec": posted, **({"settings": given} if given else {})})


@Parameter(name="*")
@dataclass(frozen=True)
class PromoteWanted:
    """Options of moving an alias."""

    kind: ClassVar[str] = "promote"
    does: ClassVar[str] = "the move of an alias to another model"

    model: str
    "alias or digest of the model that is promoted"
    why: str
    "written into the log of the alias"
    alias: str = "champion"
    "that is moved"
    machine: MachineOptions = NO_MACHINE_OPTIONS

    def wanted(self, deployment: str) -> Wanted:
        """See `RunWanted.wanted`."""
        parameters = {"model": self.model, "alias": self.alias, "why": self.why}
        return Wanted(self.kind, f"promotion of {self.model} to {self.alias}", parameters)


@Parameter(name="*")
@dataclass(frozen=True)
class GcWanted:
    """Options of clearing the store."""

    kind: ClassVar[str] = "gc"
    does: ClassVar[str] = "a look for what nothing in the store needs"

    delete: Flag = False
    "delete what nothing needs; only listed when left out"
    machine: MachineOptions = NO_MACHINE_OPTIONS

    def wanted(self, deployment: str) -> Wanted:
        """See `RunWanted.wanted`."""
        return Wanted(self.kind, "clearing of the store", {"delete": self.delete})


@Parameter(name="*")
@dataclass(frozen=True)
class RetrainWanted(RunWanted):
    """Options of a retraining with its gate."""

    kind: ClassVar[str] = "retrain"
    does: ClassVar[str] = "a retraining: label, train, score on the guard set, gate, alias"

    step: int | None = None
    "up to which step; the last one when left out"
    seeds: Annotated[tuple[int, ...], several()] = ()
    "trainings, whose mean the gate looks at; --seed alone when left out"
    gate: Set = ()
    "rules of the gate as key=value, e.g. floor=0.3 delta=0.05; see docs/retraining.md"
    guard: str | None = None
    "name of the frozen guard set; BENCHMARK-step-T when left out"
    alias: str = "champion"
    "that the model gets"
    from_alias: Flag = False
    "start from the model that has the alias; earlier steps are not trained again"
    approve: Flag = False
    "ask a person once the gate is passed; see wilss approve"
    hours: float | None = None
    "until when the answer has to be there; no answer means no"

    def wanted(self, deployment: str) -> Wanted:
        """See `RunWanted.wanted`."""
        spec = self._spec(deployment)
        title = f"retrain of {spec['benchmark'] if spec else deployment}"
        if spec is None:
            if self._rules():
                raise SpecError("the rules of a retraining go with its benchmark; add --benchmark, or leave them out")
            return Wanted(self.kind, title, self._settings())
        from wilss.retrain import make_retrain_spec

        content = {"run": spec, **self._rules()}
        posted = picked(content, make_retrain_spec(content).model_dump(mode="json"))
        return Wanted(self.kind, title, {"spec": {**posted, "run": spec}, **self._settings()})

    def _rules(self) -> dict[str, Any]:
        """What was given beside the run."""
        from wilss.words import nested

        given: dict[str, Any] = {"step": self.step, "guard": self.guard}
        given |= {"seeds": list(self.seeds) or None, "gate": nested(list(self.gate)) or None}
        given |= {"alias": None if self.alias == "champion" else self.alias, "from_alias": self.from_alias or None}
        asked = {"wanted": self.approve or None, "hours": self.hours}
        given["approval"] = {key: value for key, value in asked.items() if value is not None} or None
        return {key: value for key, value in given.items() if value is not None}


KINDS: tuple[type[Wanting], ...] = (
    RunWanted,
    BaseWanted,
    StepWanted,
    RelabelWanted,
    EvaluateWanted,
    CompareWanted,
    FewShotWanted,
    RetrainWanted,
    PromoteWanted,
    GcWanted,
)
