"""What health is judged by: masks of a label set class by class."""

from __future__ import annotations

from pathlib import Path

import pytest

from stores.health import losses_of, masks_by_class, taken_for
from tests.stores.labels.test_stats import labelled
from wilss.state import HELD_OUT


def test_empty_and_covering_masks_are_counted_class_by_class(tmp_path: Path) -> None:
    # rows in order: cat and dog of "a", cat of "b", dog of "d"
    found = masks_by_class(labelled(tmp_path, area=[0.0, 0.95, 0.5, 1.0]))
    assert {name: (of.rows, of.empty, of.whole) for name, of in found.items()} == {
        "cat": (2, pytest.approx(0.5), 0.0),
        "dog": (2, 0.0, pytest.approx(1.0)),
    }


def test_a_class_is_taken_for_the_one_that_gets_most_of_its_pixels() -> None:
    names = ("background", "cat", "dog", "horse")
    matrix = [[90, 0, 0, 10], [0, 8, 2, 0], [0, 0, 0, 0], [50, 10, 30, 10]]
    assert taken_for(matrix, names, 3) == ("dog", 0.3), "background is no class that it could be taken for"
    assert taken_for(matrix, names, 1) == ("dog", 0.2)
    assert taken_for(matrix, names, 2) is None, "no image shows it"
    assert taken_for([[1, 0], [0, 1]], names[:2], 1) is None, "there is no other class"


def test_losses_leave_out_the_warm_up_and_what_held_out_images_decided() -> None:
    history = [{"new": 3.0}, {"new": 2.0, "student": 1.5}, {"new": 1.0, "student": 0.5}]
    assert losses_of(history) == [3.5, 1.5]
    assert losses_of([epoch | {HELD_OUT: 0.4} for epoch in history]) == []
