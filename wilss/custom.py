"""Benchmarks of one's own: which classes each step brings, by name, read from a YAML file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from wilss.architecture import MOST_CLASSES
from wilss.data.class_names import BACKGROUND, folded
from wilss.data.families import family_of, incremental_families
from wilss.errors import DataNotFoundError, SpecError, did_you_mean
from wilss.outside import read_yaml
from wilss.protocol import Benchmark, benchmarks
from wilss.section import OneOf, Section

Name = Annotated[str, Field(min_length=1, max_length=60)]
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")


class CustomBenchmark(Section):
    """A benchmark that is not built in.

    Args:
        data: whose images and classes; "folder" is a folder of your own, whose classes are those named here.
        steps: class names of every step, the base step first.
        prompts: words for the scorer; a class without any is known by its name.
        ignore: names in labels.csv that no step learns ("folder" only); "*" stands for all that are no class.
    """

    name: str
    data: Annotated[str, OneOf(incremental_families)]
    steps: tuple[tuple[Name, ...], ...] = Field(min_length=1, max_length=MOST_CLASSES)
    prompts: dict[str, tuple[Name, ...]] = Field(default_factory=dict)
    ignore: tuple[str, ...] = ()

    @field_validator("name")
    @classmethod
    def _file_name(cls, name: str) -> str:
        if not SAFE.fullmatch(name):
            raise ValueError(f"benchmark name '{name[:70]}' must be up to 60 letters, digits, '-', '_' or '.'")
        if name in benchmarks():
            raise ValueError(f"benchmark name '{name}' is taken by a built-in benchmark; choose another")
        return name

    @field_validator("ignore", mode="before")
    @classmethod
    def _one_name(cls, ignore: Any) -> Any:
        return (ignore,) if isinstance(ignore, str) else ignore

    @field_validator("steps")
    @classmethod
    def _no_background(cls, steps: tuple[tuple[Name, ...], ...]) -> tuple[tuple[Name, ...], ...]:
        for name in (name for names in steps for name in names):
            if folded(name) in BACKGROUND:
                raise ValueError(f"class '{name}' is no class: background is 0 in masks and always known; leave it out")
        return steps

    @model_validator(mode="after")
    def _consistent(self) -> CustomBenchmark:
        seen: dict[str, int] = {}
        for step, names in enumerate(self.steps):
            if not names:
                raise ValueError(f"step {step} of '{self.name}' has no classes; every step brings at least one")
            for name in names:
                if name in seen:
                    where = "twice in step" if seen[name] == step else f"in step {seen[name]} and in step"
                    raise ValueError(f"class '{name}' is {where} {step}; a class is learnt once, in one step")
                seen[name] = step
        known = family_of(self.data).classes or tuple(seen)
        for name in (*seen, *self.prompts):
            if name not in known:
                raise ValueError(f"'{name}' is no class of {self.name}.{did_you_mean(name, known)}")
        if len(seen) > MOST_CLASSES:
            raise ValueError(f"'{self.name}' has {len(seen)} classes; masks hold at most {MOST_CLASSES}")
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """All classes of the data, by id."""
        return family_of(self.data).classes or tuple(name for names in self.steps for name in names)

    def benchmark(self) -> Benchmark:
        """The same with class ids."""
        ids = {name: number for number, name in enumerate(self.classes, start=1)}
        steps = tuple(tuple(ids[name] for name in names) for names in self.steps)
        return Benchmark(self.name, self.data, steps, keeps_empty=family_of(self.data).keeps_empty)


def read_benchmark(path: Path) -> dict[str, Any]:
    """Content of a benchmark's YAML file, not yet validated.

    Raises DataNotFoundError when there is no file, SpecError when it is no YAML mapping.
    """
    if not path.is_file():
        raise DataNotFoundError(f"benchmark file '{path}' does not exist; give a YAML file or a built-in name")
    content = read_yaml(path, "see docs/data.md for an example")
    if not isinstance(content, dict):
        raise SpecError(f"'{path}' holds no mapping; it needs the keys name, data and steps, see docs/data.md")
    return content
