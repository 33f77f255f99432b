"""The specification of a run: flow parameter, command-line options and digest input at once.

Each part lives beside what it configures; this file gathers them and turns validation errors into messages for people.
Machine facts (root folder, device, weights folder) are `Settings`, never part of a digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, cast

from pydantic import Field, ValidationError, model_validator

from wilss.custom import CustomBenchmark
from wilss.data.families import family_of, incremental_families
from wilss.data.spec import AugmentSpec, DataSpec
from wilss.errors import SpecError, did_you_mean
from wilss.foundation.kinds import kinds_of
from wilss.foundation.spec import FoundationSpec
from wilss.learn.methods import METHODS, MethodEntry
from wilss.learn.methods.spec import FmwissSpec, WilsonSpec
from wilss.learn.spec import BaseTrainSpec, MemorySpec, MethodSettings, TrainSpec
from wilss.nets.spec import StudentSpec
from wilss.own import Extensible
from wilss.presets import PRESETS
from wilss.protocol import Benchmark, Scenario, benchmark, benchmarks
from wilss.section import LATER, OneOf, Section, Seed
from wilss.words import explain, merge, with_section_defaults


class RunSpec(Extensible):
    """Everything that determines the results of a run."""

    prefilled: ClassVar = frozenset({"custom", "start", "preset", "scenario", "method", "seed"})
    filled_by: ClassVar = PRESETS

    benchmark: str = Field(description="such as scenes-15-5 or voc-15-1; or the name of ``custom``")
    custom: CustomBenchmark | None = Field(None, description="a benchmark of one's own; then ``benchmark`` is its name")
    start: str | None = Field(
        None, description="checkpoint (alias, digest or folder) that is taken for step 0 instead of training one"
    )
    preset: str | None = Field(
        None, description="named settings that fill every key not given; None takes the benchmark's own"
    )
    label_sets: Annotated[dict[int, str], LATER] = Field(
        {}, description="step -> label set (its digest) that it learns from in place of the co-segmented one"
    )
    labels: Annotated[str, LATER] = Field(
        "",
        description="'reviewed': every step learns from what the review of its label set gave when last applied; or "
        "the digest of one label set, whose step it tells",
    )
    students: Annotated[dict[int, str], LATER] = Field(
        {},
        description="a step -> the student (its alias or digest) that stands for what is known after it: this step and "
        "those before are not learnt; one entry",
    )
    scenario: Scenario = Field(
        "overlap",
        description="overlap: a step has every image with a class of its own; disjoint: only those of them whose "
        "classes are all known by then",
    )
    method: Annotated[str, OneOf(lambda: METHODS)] = Field(
        "fmwiss", description="how the steps learn; joint: all classes at once, with masks, as an upper bound"
    )
    seed: Seed = Field(0, description="of everything random but the scenes (data.world.seed)")
    data: DataSpec = DataSpec()
    foundation: FoundationSpec = FoundationSpec()
    student: StudentSpec = StudentSpec()
    augment: AugmentSpec = AugmentSpec()
    base: BaseTrainSpec = BaseTrainSpec()
    step: TrainSpec = TrainSpec(epochs=40, lr_backbone=0.001, lr_head=0.01, constant_epochs=5)
    fmwiss: FmwissSpec = FmwissSpec()
    wilson: WilsonSpec = WilsonSpec()
    own: Annotated[dict[str, dict[str, Any]], LATER] = Field({}, description="settings of methods of one's own")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, content: Any) -> Any:
        """Fill what is not given from the preset: ``{"benchmark": ...}`` alone is a whole specification."""
        family = _family(content)
        if family is None:
            return content
        own = family_of(family).preset
        name = content.get("preset") or own
        if not isinstance(name, str):
            return content
        if name not in PRESETS:
            raise ValueError(f"unknown preset '{name}'.{did_you_mean(name, PRESETS)}")
        named = dict(PRESETS[name])
        if named.pop("upon", None):
            named = merge(PRESETS[own or "small"], named)
        named = merge(named, named.pop("benchmarks", {}).get(str(content.get("benchmark")), {}))
        by_method = named.pop("methods", {}).get(str(named.pop("like", content.get("method"))), {})
        filled = merge(merge(merge(named, _of_method(content)), by_method), {**content, "preset": name})
        if _gives_sizes(content):
            filled = merge(filled, {"data": {"fit": False}})
        for name in _tuned_otherwise(content):
            filled = merge(filled, {name: {"tuned_stages": None}})
        return with_section_defaults(cls, filled)

    @model_validator(mode="after")
    def _known_benchmark(self) -> RunSpec:
        if self.custom is not None and self.custom.name != self.benchmark:
            raise ValueError(f"benchmark is '{self.benchmark}' but its definition is called '{self.custom.name}'")
        if self.custom is None and self.benchmark not in benchmarks():
            raise ValueError(f"unknown benchmark '{self.benchmark}'.{did_you_mean(self.benchmark, benchmarks())}")
        if self.start and self.merged:
            raise ValueError(f"{self.method} learns all classes at once; it cannot start from a checkpoint")
        return self

    @model_validator(mode="after")
    def _sound_method(self) -> RunSpec:
        self.method_settings.check(self.entry.reads, self.step)
        if (self.label_sets or self.labels) and not self.uses_labels:
            named = "label_sets" if self.label_sets else "labels"
            raise ValueError(f"{self.method} learns from no label set; leave {named} out")
        last = len(self.protocol.steps) - 1
        if odd := [step for step in self.label_sets if not 1 <= step <= last]:
            raise ValueError(f"label_sets names step {odd[0]}; steps that learn from labels are 1 to {last}")
        return self

    @model_validator(mode="after")
    def _sound_students(self) -> RunSpec:
        if not self.students:
            return self
        last = len(self.protocol.steps) - 1
        if len(self.students) > 1:
            raise ValueError(f"students names {len(self.students)} steps; a run starts from the student of one")
        if self.start or self.merged:
            why = "start stands for step 0 already" if self.start else f"{self.method} learns all classes at once"
            raise ValueError(f"{why}; leave students out (--from)")
        if odd := [step for step in self.students if not 0 <= step <= last]:
            raise ValueError(f"students names step {odd[0]}; {self.benchmark} has the steps 0 to {last}")
        return self

    @property
    def protocol(self) -> Benchmark:
        """The benchmark, built in or one's own."""
        return self.custom.benchmark() if self.custom else benchmark(self.benchmark)

    @property
    def entry(self) -> MethodEntry:
        """What is known of the method."""
        return METHODS[self.method]

    @property
    def method_settings(self) -> MethodSettings:
        """The section of the method, or what holds for one without settings."""
        return cast(MethodSettings, self.section_of(self.entry.reads)) if self.entry.settings else MethodSettings()

    @classmethod
    def own_kinds(cls) -> Mapping[str, type[Section]]:
        """Settings of registered methods."""
        sections = {entry.reads: entry.settings for entry in METHODS.values() if entry.settings}
        return {name: settings for name, settings in sections.items() if name not in cls.model_fields}

    @property
    def own_sections(self) -> Mapping[str, Section]:
        """The section of a registered method."""
        return {self.entry.reads: self.method_settings} if self.entry.reads in self.own_kinds() else {}

    @property
    def uses_labels(self) -> bool:
        """Whether the steps t >= 1 learn from label sets."""
        return self.entry.uses_labels

    @property
    def merged(self) -> bool:
        """Whether all classes are learnt at once, in one step with masks."""
        return self.entry.merged

    @property
    def memory(self) -> MemorySpec | None:
        """The memory bank that the method wants; None for one that pastes nothing."""
        return self.method_settings.bank

    @property
    def idle(self) -> frozenset[str]:
        """Sections that this run does not read."""
        others = {entry.reads for entry in METHODS.values() if entry.settings} - {self.entry.reads}
        return frozenset({"own", *others} if self.uses_labels else {"own", *others, "foundation"})

    def facts(self) -> dict[str, Any]:
        """Plain data that determine the results: everything but the preset's name, and files of one's own."""
        files = {self.entry.source, family_of(self.protocol.family).source}
        if self.uses_labels:
            files |= {kind.source for kind in kinds_of(self.foundation)}
        return {**self.plain({"preset"}), **({"files": sorted(files - {""})} if files != {""} else {})}


def _family(content: Any) -> str | None:
    """Whose data a specification that is not validated yet uses; None when it cannot be told."""
    if not isinstance(content, Mapping):
        return None
    custom = content.get("custom")
    if isinstance(custom, CustomBenchmark):
        return custom.data
    if isinstance(custom, Mapping):
        family = custom.get("data")
        return family if isinstance(family, str) and family in incremental_families() else None
    known = benchmarks().get(str(content.get("benchmark")))
    return known.family if known else None


def _gives_sizes(content: Mapping[str, Any]) -> bool:
    """Whether canvas or crop are given, and nothing is said of fitting them to the data."""
    data, augment = (content.get(name) for name in ("data", "augment"))
    keys = {name for part in (data, augment) if isinstance(part, Mapping) for name in part}
    return "fit" not in keys and not keys.isdisjoint({"canvas", "crop"})


def _tuned_otherwise(content: Mapping[str, Any]) -> list[str]:
    """Trainings that are given a tuning and no number of stages: a preset's number is for its own tuning."""
    parts = ((name, content.get(name)) for name in ("base", "step"))
    return [
        name for name, part in parts if isinstance(part, Mapping) and "tuning" in part and "tuned_stages" not in part
    ]


def _of_method(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a method sets of the section of another one; nothing for a name that is none."""
    entry = METHODS.get(str(content.get("method")))
    return {entry.reads: entry.values} if entry and entry.values else {}


def make_spec(content: Mapping[str, Any]) -> RunSpec:
    """Validate a specification; keys that are not given come from the preset.

    Raises SpecError, in words, for unknown names, unknown keys and values out of range.
    """
    try:
        return RunSpec.model_validate(dict(content))
    except ValidationError as error:
        raise SpecError(explain(error, RunSpec)) from error
