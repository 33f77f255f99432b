"""Options that several commands share, and what they make of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field, create_model

from flows.machine import machine_settings
from wilss.settings import Settings

if TYPE_CHECKING:
    from wilss.spec import RunSpec


RESERVED = ("benchmark", "method", "seed")
"""Keys of a run's specification that are options or arguments, and not for ``--set``."""
FEWSHOT_RESERVED = ("benchmark", "preset", "head", "shots", "fold", "seed")
"""Those of a few-shot run's."""


def several(*names: str) -> Parameter:
    """An option or argument that takes several values, under other names if given."""
    return Parameter(name=names or None, negative="", consume_multiple=True)


def require_unreserved(changes: Mapping[str, object], reserved: Iterable[str]) -> None:
    """Raise SpecError for a key of ``--set`` that has an option of its own."""
    from wilss.errors import SpecError

    for key in reserved:
        if key in changes:
            how = "the first argument, or --benchmark of few-shot runs" if key == "benchmark" else f"--{key}"
            raise SpecError(f"'{key}' is no setting; give it as {how}")


Again = Annotated[tuple[str, ...], several()]
"""Stages that are made anew although they are there."""
Set = Annotated[tuple[str, ...], several()]
"""Settings as section.key=value."""
Flag = Annotated[bool, Parameter(negative="")]
"""An option without a value."""
Out = Annotated[Path, Parameter(name=["--out", "-o"])]
"""Where results are written."""
MaybeOut = Annotated[Path | None, Parameter(name=["--out", "-o"])]
"""The same where there is a place for them."""


@Parameter(name="*")
@dataclass(frozen=True)
class RunOptions:
    """Options that determine the result of a run, beside its method and seed."""

    scenario: str = "overlap"
    "overlap or disjoint"
    preset: str | None = None
    "named settings: demo, small, paper, paper-coco or tiny; the benchmark's own when left out"
    train_list: str | None = None
    "split file of the training images (VOC folders)"
    eval_list: str | None = None
    "split file of the evaluation images (VOC folders); val when left out, else the only other list there is"
    start: str | None = None
    "checkpoint (digest or folder) taken for step 0 instead of training one"
    set: Set = ()
    "any other key as section.key=value, e.g. step.epochs=3; may be repeated"


def _machine_fields() -> dict[str, Any]:
    """The settings of a machine as options; "again" is an option of the commands that know it."""
    fields: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        if name == "again":
            continue
        own = Parameter(name="--import", negative="") if name == "imports" else Parameter(show_default=False)
        told = f"{field.description}; else WILSS_{name.upper()}"
        fields[name] = (Annotated[field.annotation, own], Field(field.default, description=told))
    return fields


@Parameter(name="*")
class _Machine(BaseModel):
    """Options that say where and how to compute."""

    model_config = ConfigDict(frozen=True)

    verbose: bool = Field(False, description="show Prefect's own log")

    def settings(self, again: tuple[str, ...] = ()) -> Settings:
        """Settings of this machine; what was not given comes from the environment."""
        given = {name: getattr(self, name) for name in self.model_fields_set - {"verbose"}}
        return machine_settings(**given, again=again or None)


MachineOptions = create_model("MachineOptions", __base__=_Machine, **_machine_fields())


def specify(
    benchmark: str, method: str, seed: int, options: RunOptions, machine: MachineOptions, again: tuple[str, ...] = ()
) -> tuple[RunSpec, Settings]:
    """The specification and the settings of a run."""
    from wilss.spec import make_spec

    settings = machine.settings(again)
    return make_spec({**run_content(benchmark, options, settings), "method": method, "seed": seed}), settings


def run_content(benchmark: str, options: RunOptions, settings: Settings) -> dict[str, Any]:
    """What was given of a run's specification, without method and seed."""
    from wilss.outside import is_yaml
    from wilss.protocol import benchmarks
    from wilss.register import read_own_benchmark
    from wilss.words import merge, nested

    changes = nested(list(options.set))
    require_unreserved(changes, RESERVED)
    custom = read_own_benchmark(Path(benchmark)) if is_yaml(benchmark) else {}
    known = benchmarks().get(benchmark)
    family = known.family if known else custom.get("data")
    lists = chosen_lists(family, settings, options.train_list, options.eval_list)
    given: dict[str, Any] = {"benchmark": benchmark, "scenario": options.scenario}
    if custom:
        given |= {"benchmark": custom.get("name", ""), "custom": custom}
    if options.start:
        given["start"] = options.start
    if options.preset:
        given["preset"] = options.preset
    if lists:
        given["data"] = lists
    return merge(given, changes)


def chosen_lists(family: object, settings: Settings, train: str | None, evaluation: str | None) -> dict[str, str]:
    """Split files of a specification's data: as given, else what the VOC folder holds; other data have none.

    Args:
        family: whose data, as it was written: it has not been validated yet.
    """
    from wilss.data.families import FAMILIES
    from wilss.data.id_lists import choose_lists

    entry = FAMILIES.get(family) if isinstance(family, str) else None
    folder = getattr(settings, entry.voc_option) if entry and entry.voc_option else None
    names = zip(("train_list", "eval_list"), choose_lists(folder, train, evaluation), strict=True)
    return {name: value for name, value in names if value}


NO_RUN_OPTIONS = RunOptions()
NO_MACHINE_OPTIONS = MachineOptions()
