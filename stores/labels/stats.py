"""The quality of a label set, row by row and class by class, with IoU where truth is known; worst rows first.

Imports no torch unless there is a source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stores.labels.sets import LabelSet
from wilss.data.source import Source

Floats = NDArray[np.float32]
WORST = ("unchanged", "agreement", "softmin", "area")
"""The first of them that is known of a row counts, over the root of its fragments."""
SEEN = ("wins", "apart")
"""Their mean with it sorts rows, as far as they are known: lowest is worst.

What predicts a bad mask how well stands in docs/architecture.md, "Label sets".
"""


@dataclass(frozen=True)
class Row:
    """One mask: where it is, its score, its numbers by name (None where unknown), and its IoU with the truth."""

    image: str
    class_name: str
    score: float | None
    numbers: dict[str, float | None]
    iou: float | None


@dataclass(frozen=True)
class Stats:
    """Of a label set: rows in all, numbers by class (mean of its rows; "iou" too), and its worst rows first."""

    stage: str
    images: int
    rows: int
    by_class: dict[str, dict[str, float | None]]
    worst: list[Row]


def label_stats(labels: LabelSet, source: Source | None, count: int) -> Stats:
    """Numbers of a label set's last stage.

    Args:
        source: of the true masks, None where it is not at hand. count: of the worst rows.
    """
    channels, images = labels.index.pairs[1], labels.index.pairs[0]
    unknown = np.full(len(channels), np.nan, np.float32)
    iou = _truth(source, labels) if source else unknown
    columns = {**labels.quality, "iou": iou}
    by_class = {}
    for channel, name in enumerate(labels.index.classes):
        own = channels == channel
        means = {column: _number(_mean(values[own])) for column, values in columns.items()}
        by_class[name] = {"rows": int(own.sum()), **means}
    worst, score = [], row_score(labels)
    for row in score.argsort(kind="stable")[:count]:
        numbers = {name: _number(values[row]) for name, values in labels.quality.items()}
        where = labels.index.ids[images[row]], labels.index.classes[channels[row]]
        worst.append(Row(*where, _number(score[row]), numbers, _number(iou[row])))
    return Stats(labels.stage, len(labels), len(channels), by_class, worst)


def mean_quality(labels: LabelSet) -> dict[str, float | None]:
    """Mean over all rows of every number that is kept, None where none is known."""
    return {name: _number(_mean(values)) for name, values in labels.quality.items()}


def row_score(labels: LabelSet) -> Floats:
    """How sound each row looks, in [0, 1] (see `WORST`); NaN where nothing is known of it."""
    score = np.full(labels.index.n_rows, np.nan, np.float32)
    for name in reversed(WORST):
        if name in labels.quality:
            values = labels.quality[name]
            score = np.where(np.isnan(values), score, values)
    parts = np.nan_to_num(labels.quality.get("fragments", np.ones_like(score)), nan=1.0)
    first = (score / np.sqrt(np.maximum(parts, 1.0))).astype(np.float32)
    further = [labels.quality[name].clip(0, 1) for name in SEEN if name in labels.quality]
    return _known_mean(np.stack([first, *further])) if further else first


def _known_mean(values: Floats) -> Floats:
    """Mean of the columns of ``(K, R)`` without what is not known, float32 ``(R,)``; NaN where nothing is."""
    known = ~np.isnan(values)
    sums, counts = np.where(known, values, 0).sum(0), known.sum(0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32)


def worst_images(labels: LabelSet) -> NDArray[np.int64]:
    """Positions of images by their worst row, worst first; those without a row come last."""
    score = np.full(len(labels), np.inf, np.float32)
    rows = np.nan_to_num(row_score(labels), nan=2.0)
    np.minimum.at(score, labels.index.pairs[0], rows)
    return score.argsort(kind="stable")


def _truth(source: Source, labels: LabelSet) -> Floats:
    from stores.labels.quality import row_truth  # loads torch, as the source does

    return row_truth(source, labels, labels.stage)


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
