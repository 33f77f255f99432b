"""Numbers of a label set by class, and its worst rows first."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from stores.labels.filling import ShardFill
from stores.labels.index import LabelIndex
from stores.labels.sets import LabelSet
from stores.labels.stats import label_stats, mean_quality, row_score, worst_images
from stores.labels.writer import LabelWriter
from wilss.measure.columns import COLUMNS

SIDE = 8
TAGS = np.array([[True, True], [True, False], [False, False], [False, True]])


def labelled(folder: Path, **columns: list[float]) -> LabelSet:
    """Cats in the upper half, dogs in the lower one."""
    of = LabelIndex(("a", "b", "c", "d"), ("cat", "dog"), TAGS, SIDE, (4, 4), ("final",))
    fill = ShardFill(of, 0)
    masks = torch.zeros(4, SIDE, SIDE, dtype=torch.bool)
    for row, channel in enumerate(of.pairs[1]):
        masks[row, 4 * channel : 4 * channel + 4] = True
    quality = np.full((4, len(COLUMNS)), np.nan, np.float32)
    for name, values in columns.items():
        quality[:, COLUMNS.index(name)] = values
    fill.add(range(4), {"final": masks}, quality)
    fill.sizes[:] = SIDE
    LabelWriter.begin(folder, of).write(0, fill.content())
    return LabelSet.open(folder)


def truths(image_id: str) -> torch.Tensor:
    """The cat of "a" is drawn as it is masked; half of the dog's mask is void; "b" shows half a cat; "d" no dog."""
    mask = torch.zeros(SIDE, SIDE, dtype=torch.uint8)
    if image_id in "ab":
        mask[: 4 if image_id == "a" else 2] = 1
    if image_id == "a":
        mask[4:6], mask[6:] = 2, 255
    return mask


SOURCE: Any = SimpleNamespace(classes=("cat", "dog"), has_mask=lambda image_id: image_id != "c", mask=truths)


def test_iou_is_that_of_each_row_where_the_truth_shows_its_class(tmp_path: Path) -> None:
    stats = label_stats(labelled(tmp_path, area=[0.5] * 4), SOURCE, 9)
    found = {(row.image, row.class_name): row.iou for row in stats.worst}
    assert found == {("a", "cat"): 1.0, ("a", "dog"): 1.0, ("b", "cat"): 0.5, ("d", "dog"): None}
    assert stats.by_class["cat"]["iou"] == 0.75
    assert stats.by_class["dog"] == {"rows": 2, **dict.fromkeys(COLUMNS), "area": 0.5, "iou": 1.0}


def test_the_worst_come_first(tmp_path: Path) -> None:
    nan = float("nan")
    labels = labelled(tmp_path, unchanged=[0.9, 0.8, 0.9, nan], agreement=[0, 0, 0, 0.7], fragments=[1, 1, 4, 1])
    stats = label_stats(labels, None, 9)
    assert [(row.image, row.class_name) for row in stats.worst] == [
        ("b", "cat"),
        ("d", "dog"),
        ("a", "dog"),
        ("a", "cat"),
    ]
    assert [row.score for row in stats.worst] == pytest.approx([0.45, 0.7, 0.8, 0.9])
    assert worst_images(labels).tolist() == [1, 3, 0, 2], "an image without a row comes last"
    assert mean_quality(labels)["unchanged"] == pytest.approx(0.8667, abs=1e-4)
    assert mean_quality(labels)["softmin"] is None
    assert all(row.iou is None for row in stats.worst)


def test_rows_are_sorted_by_the_mean_of_what_is_known(tmp_path: Path) -> None:
    nan = float("nan")
    columns = {"unchanged": [0.8, 0.8, 0.8, nan], "fragments": [1, 4, 1, 1], "wins": [0.6, 0.6, nan, nan]}
    score = row_score(labelled(tmp_path, **columns, apart=[0.1, -0.5, nan, nan]))
    assert score[:3].tolist() == pytest.approx([(0.8 + 0.6 + 0.1) / 3, (0.4 + 0.6 + 0) / 3, 0.8])
    assert np.isnan(score[3])
