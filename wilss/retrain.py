"""The specification of a retraining: what is trained, the gate that it has to pass, and whether a person is asked.

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationError, model_validator

from wilss.aliases import require_movable
from wilss.errors import SpecError
from wilss.measure.spec import GateSpec
from wilss.section import Section, Seed
from wilss.spec import RunSpec
from wilss.words import explain

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")]
"""Of an alias or a guard set: it becomes a file's name."""
MOST_GUARD_IMAGES = 20_000


class ApprovalSpec(Section):
    """Whether a person is asked before the alias moves, and how long their answer is waited for."""

    prefilled: ClassVar = frozenset({"hours"})

    wanted: bool = Field(False, description="ask a person once the gate is passed; no answer means no")
    hours: float = Field(24.0, gt=0, le=24 * 60, description="until when the answer has to be there")


class RetrainSpec(Section):
    """Train a step, hold the model against the one in use, and let it take its place where the rules are met."""

    prefilled: ClassVar = frozenset({"step", "seeds", "alias", "guard", "guard_images"})

    run: RunSpec = Field(description="what is trained, as for a run of a benchmark")
    step: int | None = Field(None, ge=0, description="up to which step; the last one when left out")
    seeds: tuple[Seed, ...] = Field(
        (), max_length=16, description="trainings, whose mean the gate looks at; the run's own seed when left out"
    )
    guard: Name | None = Field(
        None, description="name of the frozen guard set; BENCHMARK-step-T when left out, frozen when first used"
    )
    guard_images: tuple[str, ...] = Field(
        (),
        max_length=MOST_GUARD_IMAGES,
        description="ids of the guard set's images, where it is not frozen yet; all evaluation images when left out",
    )
    gate: GateSpec = GateSpec()
    approval: ApprovalSpec = ApprovalSpec()
    alias: Name = Field("champion", description="which name the model gets")
    from_alias: bool = Field(
        False, description="start from the model that has the alias; earlier steps are not trained again"
    )

    @model_validator(mode="after")
    def _sound(self) -> RetrainSpec:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds names one twice: {', '.join(map(str, self.seeds))}")
        if self.run.merged:
            raise ValueError(f"{self.run.method} learns all classes at once and is an upper bound; take another method")
        require_movable(self.alias)
        last = len(self.run.protocol.steps) - 1
        if self.step is not None and self.step > last:
            raise ValueError(f"{self.run.benchmark} has no step {self.step}; its steps are 0 to {last}")
        return self

    @property
    def last_step(self) -> int:
        """The step that is trained last."""
        return len(self.run.protocol.steps) - 1 if self.step is None else self.step

    @property
    def guard_name(self) -> str:
        """Of its guard set."""
        return self.guard or f"{self.run.benchmark}-step-{self.last_step}"

    @property
    def runs(self) -> tuple[RunSpec, ...]:
        """One a seed; the first one's model is the one that may be promoted."""
        return tuple(self.run.model_copy(update={"seed": seed}) for seed in self.seeds) or (self.run,)


def make_retrain_spec(content: Mapping[str, Any]) -> RetrainSpec:
    """Validate a specification. Raises SpecError, in words."""
    try:
        return RetrainSpec.model_validate(dict(content))
    except ValidationError as error:
        raise SpecError(explain(error, RetrainSpec)) from error
