"""Typed records of few-shot runs and their comparisons; see `wilss.report.records`. Imports no torch."""

from __future__ import annotations

from wilss.report.records import Made, Part, Record, Share, Table


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
