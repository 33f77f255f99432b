"""What health is judged by: masks of a label set class by class."""

from __future__ import annotations

from pathlib import Path

import pytest

from stores.health import masks_by_class
from tests.stores.labels.test_stats import labelled


def test_empty_and_covering_masks_are_counted_class_by_class(tmp_path: Path) -> None:
    # rows in order: cat and dog of "a", cat of "b", dog of "d"
    found = masks_by_class(labelled(tmp_path, area=[0.0, 0.95, 0.5, 1.0]))
    assert {name: (of.rows, of.empty, of.whole) for name, of in found.items()} == {
        "cat": (2, pytest.approx(0.5), 0.0),
        "dog": (2, 0.0, pytest.approx(1.0)),
    }
