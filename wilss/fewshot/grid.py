"""A few-shot comparison: heads x tunings x shots x folds x seeds; all else is given once, or by the preset a head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationError, model_validator

from wilss.errors import SpecError
from wilss.fewshot.heads import HEADS
from wilss.fewshot.spec import FewShotSpec, HeadName, make_fewshot_spec
from wilss.section import Section
from wilss.words import explain, merge

Tuning = Literal["frozen", "svf", "full"]


@dataclass(frozen=True)
class Cell:
    """One model of the grid; ``name`` is its row in the table."""

    name: str
    spec: FewShotSpec


class FewShotGrid(Section):
    """Which models are compared.

    run: a specification without head, tuning, shots, fold and seed; it holds for every cell alike.
    """

    prefilled: ClassVar = frozenset({"heads", "tunings", "folds", "shots", "seeds"})

    run: dict[str, Any]
    heads: tuple[HeadName, ...] = Field(("prior", "prototype", "aspp", "pfenet", "bam", "cwt", "ipmt"), min_length=1)
    tunings: tuple[Tuning, ...] = Field(("frozen", "svf"), min_length=1)
    folds: tuple[int, ...] = Field((0, 1, 2, 3), min_length=1)
    shots: tuple[int, ...] = Field((1,), min_length=1)
    seeds: tuple[int, ...] = Field((0,), min_length=1)

    @model_validator(mode="after")
    def _sound(self) -> FewShotGrid:
        tuning = self.run.get("train", {}).get("tuning") if isinstance(self.run.get("train"), dict) else None
        taken = [key for key in ("head", "shots", "fold", "seed") if key in self.run] + ["train.tuning"] * bool(tuning)
        if taken:
            raise ValueError(f"'{taken[0]}' belongs to the grid; leave it out of the run's specification")
        for name in ("heads", "tunings", "folds", "shots", "seeds"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} {', '.join(map(str, values))}: name each once")
        specs = [cell.spec for cell in self.cells()]
        sizes = sorted({spec.size for spec in specs})
        if specs[0].resolution == "canvas" and len(sizes) > 1:
            raise ValueError(
                f"resolution=canvas scores these heads at {' and '.join(map(str, sizes))} pixels, which cannot be "
                "compared; take resolution=original, or give all the same --set size=..."
            )
        return self

    def cells(self) -> Iterator[Cell]:
        """Every model, seed by seed and fold by fold; a baseline has no tuning."""
        for seed in self.seeds:
            for fold in self.folds:
                for shots in self.shots:
                    for head in self.heads:
                        for tuning in ("frozen",) if not HEADS[head].trained else self.tunings:
                            yield Cell(row_name(head, tuning, shots), self._spec(seed, fold, shots, head, tuning))

    def _spec(self, seed: int, fold: int, shots: int, head: str, tuning: str) -> FewShotSpec:
        own = {"seed": seed, "fold": fold, "shots": shots, "head": head}
        return make_fewshot_spec(merge({"train": {"tuning": tuning}}, {**self.run, **own}))

    def facts(self) -> dict[str, Any]:
        """Plain data that determine the comparison."""
        return {"cells": [{"name": cell.name, **cell.spec.facts()} for cell in self.cells()]}


def row_name(head: str, tuning: str, shots: int) -> str:
    """Such as "pfenet + svf, 1 shot"; a frozen backbone is not mentioned."""
    tuned = "" if tuning == "frozen" else f" + {tuning}"
    return f"{head}{tuned}, {shots} shot{'' if shots == 1 else 's'}"


def make_fewshot_grid(content: dict[str, Any]) -> FewShotGrid:
    """Validate a grid; what is empty takes its default. Raises SpecError, in words."""
    try:
        return FewShotGrid.model_validate({key: value for key, value in content.items() if value != ()})
    except ValidationError as error:
        raise SpecError(explain(error, FewShotGrid)) from error
