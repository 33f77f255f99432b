"""The specification of a comparison: one benchmark, several methods, several seeds, everything else equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field, ValidationError, field_validator, model_validator

from wilss.errors import SpecError, did_you_mean
from wilss.learn.methods import METHODS
from wilss.section import Section
from wilss.spec import RunSpec, make_spec
from wilss.words import explain, merge

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "fmwiss-no-seeds": ("fmwiss", {"foundation": {"cosegment": {"fusion": "scores", "propagate": 0}}}),
    "fmwiss-no-teacher": ("fmwiss", {"fmwiss": {"teacher": False}}),
    "fmwiss-no-contrastive": ("fmwiss", {"fmwiss": {"contrastive_weight": 0.0}}),
    "fmwiss-no-paste": ("fmwiss", {"fmwiss": {"paste": {"probability": 0.0}}}),
    "fmwiss-reviewed": ("fmwiss", {"labels": "reviewed"}),
}
"""FMWISS with one part switched off, "no-seeds" leaves the grouper out of the label set altogether; and on label sets
that people reviewed."""


def names() -> tuple[str, ...]:
    """What may be compared: methods and variants."""
    return (*METHODS, *VARIANTS)


@dataclass(frozen=True)
class GridRun:
    """One cell of the grid; ``name`` is a method or a variant."""

    name: str
    seed: int
    spec: RunSpec


class Comparison(Section):
    """Methods x seeds on one benchmark.

    run: a run's specification without method and seed; it holds for every cell alike.
    """

    prefilled: ClassVar = frozenset({"methods", "seeds"})

    run: dict[str, Any]
    methods: tuple[str, ...] = Field(("finetune", "wilson", "fmwiss", "joint"), min_length=1)
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1)

    @field_validator("methods")
    @classmethod
    def _known(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for name in methods:
            if name not in names():
                raise ValueError(f"unknown method '{name}'.{did_you_mean(name, names())}")
        return _distinct(methods, "method")

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        return _distinct(seeds, "seed")

    @field_validator("run")
    @classmethod
    def _whole(cls, run: dict[str, Any]) -> dict[str, Any]:
        for key in ("method", "seed"):
            if key in run:
                raise ValueError(f"'{key}' belongs to the grid; leave it out of the run's specification")
        return run

    @model_validator(mode="after")
    def _every_cell_is_sound(self) -> Comparison:
        self.runs()
        return self

    def runs(self) -> list[GridRun]:
        """Every cell, seed by seed, so that the first seed's table is complete early."""
        return [GridRun(name, seed, self.spec_of(name, seed)) for seed in self.seeds for name in self.methods]

    def spec_of(self, name: str, seed: int) -> RunSpec:
        """The run's specification of one cell."""
        method, changes = VARIANTS.get(name, (name, {}))
        unused = set() if METHODS[method].uses_labels else {"labels"}  # asked for where there are some
        run = {key: value for key, value in merge(self.run, changes).items() if key not in unused}
        return make_spec({**run, "method": method, "seed": seed})

    def facts(self) -> dict[str, Any]:
        """Plain data that determine the comparison."""
        first = self.spec_of(self.methods[0], self.seeds[0]).facts()
        return {"run": {**first, "method": None, "seed": None}, "methods": self.methods, "seeds": self.seeds}


def make_grid(run: dict[str, Any], methods: Sequence[str] = (), seeds: Sequence[int] = ()) -> Comparison:
    """Validate a grid; without methods or seeds the usual ones are taken. Raises SpecError, in words.

    The usual methods leave joint out for a run that starts from a checkpoint, and for own folders, which need no masks.
    """
    custom = run.get("custom")
    if not methods and (
        run.get("start") or run.get("students") or (isinstance(custom, dict) and custom.get("data") == "folder")
    ):
        methods = ("finetune", "wilson", "fmwiss")
    given = {"methods": tuple(methods), "seeds": tuple(seeds)}
    try:
        return Comparison.model_validate({"run": run, **{key: value for key, value in given.items() if value}})
    except ValidationError as error:
        raise SpecError(explain(error, Comparison)) from error


def _distinct(values: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    repeated = [value for value in values if values.count(value) > 1]
    if repeated:
        raise SpecError(f"{what} '{repeated[0]}' is given twice; name each once")
    return values
