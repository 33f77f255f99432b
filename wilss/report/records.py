"""Typed records of runs and comparisons: what their JSON files hold, and what pages draw. Imports no torch."""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from wilss.damage import MEND, reading, require_seal, seal_of
from wilss.outside import checked, read_json, require_format

AGAIN = "run again to write it anew"
Share = float | None
"""A share in [0, 1]; None where there is nothing to divide by."""


def percent(value: Share) -> str:
    """A share as percentage with one digit, zero without a sign; a dash for None."""
    return "–" if value is None else f"{100 * value:z.1f}"


def share(value: float) -> Share:
    """A number of a record; JSON has no NaN: it becomes None."""
    return None if isnan(value) else value


class Part(BaseModel):
    """A part of a record."""

    model_config = ConfigDict(frozen=True)


class Record(Part):
    """A record with the number of its format: a newer one is refused, in an older one what it lacks is empty.

    command: that started it, where a command line did. sources: folders and files that were read. spec: the resolved
    settings. seal: checksum of everything else.
    """

    FORMAT: ClassVar[int] = 3

    format: int = 1
    device: str = ""
    command: str = ""
    versions: dict[str, str] = {}
    sources: dict[str, str] = {}
    spec: dict[str, Any] = {}
    seal: str = ""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record from its file. Raises FormatError for one that is newer, DamagedArtefactError for any other."""
        with reading(path.parent, path.name, AGAIN):
            content = read_json(path, MEND)
            require_seal(content)
        require_format(content, path, cls.FORMAT)
        with reading(path.parent, path.name, AGAIN):
            return checked(cls, content, path, MEND)

    def sealed(self) -> Self:
        """The same with the checksum of its content, as it is written."""
        return self.model_copy(update={"seal": seal_of(json.loads(self.text()))})

    def text(self) -> str:
        """The content of the record's file."""
        return self.model_dump_json(indent=1)


class Made(Record):
    """A record of one run.

    artefacts, made: node of the plan -> digest, and when it was made.
    """

    artefacts: dict[str, str] = {}
    made: dict[str, str] = {}
    stage_seconds: dict[str, float] = {}
    peak_rss_bytes: int


class Means(Part):
    """Mean IoU of old, new and all classes in one convention."""

    old: Share
    new: Share
    all: Share


class Scored(Part):
    """One way of scoring: means by convention, means of the classes of every step, IoU by class."""

    conventions: dict[str, Means]
    groups: tuple[Share, ...]
    per_class_iou: dict[str, Share]


class StepEntry(Part):
    """Scores after one step.

    metrics, per_class_iou: convention C on full-size images. tables: by way of scoring: "full", "crop", or with a
    further set's name before it. forgetting: drop of the base classes since step 0.
    """

    step: int
    n_classes: int
    metrics: Means
    per_class_iou: dict[str, Share]
    tables: dict[str, Scored]
    forgetting: Share = None


class LabelEntry(Part):
    """One label set of a run.

    rows: that it holds, of the ``images`` of its step. iou: by stage, where truth is known.
    """

    digest: str
    step: int
    rows: int | None = None
    images: int | None = None
    iou: dict[str, Share]
    per_class_iou: dict[str, dict[str, Share]] = {}


class RunReport(Made):
    """Everything that is known of a finished run."""

    run: str
    benchmark: str
    method: str
    scenario: str
    seed: int
    convention: str = "C"
    per_class_iou: dict[str, Share] = {}
    metrics: Means
    steps: tuple[StepEntry, ...]
    label_sets: tuple[LabelEntry, ...] = ()
    total_seconds: float
    skipped_images: int = 0


class Table(Part):
    """A table, ready to print: a title that names its convention, columns, a row for each name."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


class RunEntry(Part):
    """One run of a comparison."""

    run: str
    name: str
    seed: int
    seconds: float


class ComparisonReport(Record):
    """Methods x seeds on one benchmark: its tables and the runs behind them."""

    folder: str
    benchmark: str
    scenario: str
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    convention: str = "C"
    tables: tuple[Table, ...]
    runs: tuple[RunEntry, ...]


class SplitScores(Part):
    """Scores over the frozen episodes of a split.

    per_class_iou: None for a class that no episode is about; the mean leaves it out. standard_error: of the mean, over
    episodes.
    """

    per_class_iou: dict[str, Share]
    mean_iou: float
    fb_iou: float
    standard_error: float
    episodes: int


class FewShotReport(Made):
    """Everything that is known of a scored few-shot model.

    novel: novel classes in test images. base: classes that were trained, in training images. Among the artefacts,
    "episodes" are those of the novel classes.
    """

    run: str
    benchmark: str
    fold: int
    head: str
    tuning: str
    shots: int
    seed: int
    lists: str
    rule: str
    resolution: str
    novel: SplitScores
    base: SplitScores


class FewShotComparisonReport(Record):
    """Few-shot models over the same episodes: tables, and the runs behind them."""

    folder: str
    benchmark: str
    tables: tuple[Table, ...]
    runs: tuple[str, ...]
