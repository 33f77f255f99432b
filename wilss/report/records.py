"""Typed records of runs and comparisons: what their JSON files hold, and what pages draw. Imports no torch."""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from wilss.damage import MEND, reading, require_seal, seal_of
from wilss.outside import checked, read_json, require_format
from wilss.words import counted

AGAIN = "run again to write it anew"
Count = Annotated[int, Field(ge=0)]
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


S = TypeVar("S", bound=BaseModel)


def read_sealed(kind: type[S], path: Path, newest: int, cure: str) -> S:
    """Read what was written with a seal.

    Args:
        newest: format that is known. cure: what to do about a damaged file.

    Raises FormatError for a newer one, DamagedArtefactError for any other that is not as it was written.
    """
    with reading(path.parent, path.name, cure):
        content = read_json(path, MEND)
        require_seal(content)
    require_format(content, path, newest)
    with reading(path.parent, path.name, cure):
        return checked(kind, content, path, MEND)


def with_seal(record: S) -> S:
    """The same with the checksum of its content, in its field "seal"."""
    return record.model_copy(update={"seal": seal_of(json.loads(record.model_dump_json()))})


class Record(Part):
    """A record with the number of its format: a newer one is refused, in an older one what it lacks is empty.

    command: that started it, where a command line did. started_by: the person, schedule or event that did. sources:
    folders and files that were read. spec: the resolved settings. seal: checksum of everything else.
    """

    FORMAT: ClassVar[int] = 3

    format: int = 1
    device: str = ""
    command: str = ""
    started_by: str = ""
    versions: dict[str, str] = {}
    sources: dict[str, str] = {}
    spec: dict[str, Any] = {}
    seal: str = ""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record from its file. Raises FormatError for one that is newer, DamagedArtefactError for any other."""
        return read_sealed(cls, path, cls.FORMAT, AGAIN)

    def sealed(self) -> Self:
        """The same with the checksum of its content, as it is written."""
        return with_seal(self)

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
    further set's name before it. forgetting: drop of the base classes since the run's first step.
    """

    step: int
    n_classes: int
    metrics: Means
    per_class_iou: dict[str, Share]
    tables: dict[str, Scored]
    forgetting: Share = None


class ReviewCounts(Part):
    """What people's review did to a label set: rows by what was said of them, and images that were left out.

    missed: classes of an image that the set lacks, and of which no mask was painted.
    """

    accepted: Count = 0
    rejected: Count = 0
    removed: Count = 0
    corrected: Count = 0
    added: Count = 0
    missed: Count = 0
    images_left_out: Count = 0

    @property
    def sentence(self) -> str:
        """The same in words, such as "12 rejected, 3 classes removed, 8 corrected; 13 images left out"."""
        of = {"removed": "class", "missed": "class"}
        names = ("rejected", "removed", "corrected", "added", "missed", "accepted")
        counts = {name: getattr(self, name) for name in names if getattr(self, name)}
        told = [f"{counted(n, of[name])} {name}" if name in of else f"{n} {name}" for name, n in counts.items()]
        out = f"; {counted(self.images_left_out, 'image')} left out" if self.images_left_out else ""
        return f"{', '.join(told) or 'nothing changed'}{out}"


class WordsUsed(Part):
    """What the scorer was asked for: words of each class of a step, and of all that competes without a mask.

    old: names of earlier classes. background: words for what is around. dropped: background words that were left out,
    and the class that each names.
    """

    classes: dict[str, tuple[str, ...]]
    old: dict[str, tuple[str, ...]] = {}
    background: tuple[str, ...] = ()
    dropped: dict[str, str] = {}


class LabelEntry(Part):
    """One label set of a run.

    rows: that it holds, of the ``images`` of its step. iou: by stage, where truth is known. review: of people that was
    applied to its parent. words: that it was made with, where the scorer was asked by words.
    """

    digest: str
    step: int
    rows: int | None = None
    images: int | None = None
    iou: dict[str, Share]
    per_class_iou: dict[str, dict[str, Share]] = {}
    review: ReviewCounts | None = None
    words: WordsUsed | None = None


class HealthNote(Part):
    """One thing that is wrong, or may be.

    rule: its name. serious: whether the result is hardly worth anything while it lasts. says: in words with numbers.
    todo: what to try next.
    """

    rule: str
    step: int
    serious: bool
    says: str
    todo: str


class RunReport(Made):
    """Everything that is known of a finished run.

    health: what is wrong with it, or may be; in a record of format 3, of which nobody asked it, nothing.
    """

    FORMAT: ClassVar[int] = 4

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
    health: tuple[HealthNote, ...] = ()
    total_seconds: float
    skipped_images: int = 0


class Table(Part):
    """A table, ready to print: a title that names its convention, columns, a row for each name."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def short(self) -> str:
        """The beginning of its title, for a list of contents."""
        return self.title.rpartition(": ")[0].partition(";")[0] or self.title.partition(",")[0]


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
