"""Options that several commands share, and what they make of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field, create_model

from flows.machine import machine_settings
from wilss.layout import default_root, root_folder, whole
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


def _root(type_: object, tokens: Sequence[Any]) -> Path:
    """A root as it is typed: an address of a bucket has two slashes, which a path has not."""
    return root_folder(tokens[0].value)


Root = Annotated[
    Path | None,
    Parameter(
        help="folder of artefacts and runs, or s3://BUCKET/PREFIX; else WILSS_ROOT, else ./wilss-data", converter=_root
    ),
]
"""Where a command without settings of the machine looks."""
RootFolder = Annotated[Path | None, Parameter(converter=_root)]
"""The same where the command tells what it is."""
Device = Annotated[str | None, Parameter(help="cpu, cuda or mps; else WILSS_DEVICE, else the best there is")]
"""Where it computes."""
Json = Annotated[bool, Parameter(negative="", help="print JSON")]
"""For programs."""
From = Annotated[str | None, Parameter(name="--from")]
"""A student that a run starts from."""
Out = Annotated[Path, Parameter(name=["--out", "-o"])]
"""Where results are written."""
MaybeOut = Annotated[Path | None, Parameter(name=["--out", "-o"])]
"""The same where there is a place for them."""


@Parameter(name="*")
@dataclass(frozen=True)
class ListOptions:
    """Options that determine which images the steps of a run have, and its settings."""

    scenario: str = "overlap"
    "overlap or disjoint"
    preset: str | None = None
    "named settings: demo, small, paper, paper-coco or tiny; the benchmark's own when left out"
    train_list: str | None = None
    "split file of the training images (VOC folders)"
    eval_list: str | None = None
    "split file of the evaluation images (VOC folders); val when left out, else the only other list there is"
    start: str | None = None
    "checkpoint (alias, digest or folder) taken for step 0 instead of training one"
    set: Set = ()
    "any other key as section.key=value, e.g. step.epochs=3; may be repeated"

    @property
    def given(self) -> dict[str, Any]:
        """Keys of a specification that they are, where they were given."""
        named = {"start": self.start, "preset": self.preset}
        return {"scenario": self.scenario, **{key: value for key, value in named.items() if value}}


@Parameter(name="*")
@dataclass(frozen=True)
class RunOptions(ListOptions):
    """Options that determine the result of a run, beside its method and seed."""

    labels: str | None = None
    "reviewed: learn from what the reviews of the label sets gave when last applied; or the digest of one label set"

    @property
    def given(self) -> dict[str, Any]:
        """The same."""
        return {**super().given, **({"labels": self.labels} if self.labels else {})}


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

    @property
    def service_root(self) -> Path:
        """The root whose service is asked: as given, else that of the environment."""
        return root_folder(getattr(self, "root")) if "root" in self.model_fields_set else default_root()  # noqa: B009

    def given(self, again: tuple[str, ...] = ()) -> dict[str, Any]:
        """What was given, as a flow in another process takes it: paths are whole, and the root is the worker's own."""
        given = {name: _elsewhere(getattr(self, name)) for name in sorted(self.model_fields_set - {"verbose", "root"})}
        given = {name: value for name, value in given.items() if value is not None}
        return {**given, "again": list(again)} if again else given


def _elsewhere(value: Any) -> Any:
    """A setting as plain data that another working folder reads alike."""
    if isinstance(value, tuple | list):
        return [_elsewhere(inner) for inner in value]
    return str(whole(value)) if isinstance(value, Path) else value


MachineOptions = create_model("MachineOptions", __base__=_Machine, **_machine_fields())


def specify(
    benchmark: str, method: str, seed: int, options: ListOptions, machine: MachineOptions, again: tuple[str, ...] = ()
) -> tuple[RunSpec, Settings]:
    """The specification and the settings of a run."""
    from wilss.spec import make_spec

    settings = machine.settings(again)
    return make_spec({**run_content(benchmark, options, settings), "method": method, "seed": seed}), settings


def starting_from(spec: RunSpec, student: str | None, settings: Settings, step: int | None = None) -> RunSpec:
    """The specification of a run that starts from a student, which stands for the step before the one to be learnt.

    It holds the student's digest: an alias may move while the command runs.

    Args:
        student: alias, digest or folder of a run; None leaves the specification as it is. step: that is to be learnt;
            None learns everything that the student does not know.

    Raises SpecError for a step without one before it, and where nothing is left to learn.
    """
    if student is None:
        return spec
    from stores.artefacts import Store
    from stores.plans.given import step_known, with_named_models
    from stores.progress import say
    from wilss.errors import SpecError
    from wilss.spec import make_spec

    if step is not None and not 1 <= step < len(spec.protocol.steps):
        raise SpecError(
            f"--from is for a step that has one before it; steps of {spec.benchmark} are 1 to "
            f"{len(spec.protocol.steps) - 1}, not {step}. To take a model for step 0, give --start"
        )
    store = Store(settings.root)
    known = step_known(spec, store, student) if step is None else step - 1
    return with_named_models(make_spec({**spec.model_dump(), "students": {known: student}}), store, say)


def run_content(benchmark: str, options: ListOptions, settings: Settings) -> dict[str, Any]:
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
    given: dict[str, Any] = {"benchmark": benchmark, **options.given}
    if custom:
        given |= {"benchmark": custom.get("name", ""), "custom": custom}
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


NO_LIST_OPTIONS = ListOptions()
NO_RUN_OPTIONS = RunOptions()
NO_MACHINE_OPTIONS = MachineOptions()
