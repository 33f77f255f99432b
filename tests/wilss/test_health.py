"""Health: each rule speaks of the numbers it saw, of no healthy run, and of the serious before the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wilss.report.health import MaskVitals, StepVitals, health_of

BASE = StepVitals(
    step=0,
    iou={"background": 0.9, "cat": 0.5, "dog": 0.4},
    predicted={"background": 1.0, "cat": 0.9, "dog": 1.1},
    taught=("cat", "dog"),
    iterations=300,
    losses=(2.0, 1.0, 0.8, 0.7, 0.65, 0.62, 0.6, 0.59),
)
NEXT = StepVitals(
    step=1,
    iou={"background": 0.9, "cat": 0.5, "dog": 0.35, "horse": 0.3},
    predicted={"background": 1.0, "cat": 0.9, "dog": 1.1, "horse": 0.6},
    taught=("horse",),
    iterations=100,
    losses=(1.0, 0.6, 0.5, 0.48),
    masks={"horse": MaskVitals(40, 0.1, 0.05)},
)


def rules(*steps: StepVitals) -> list[tuple[str, bool]]:
    return [(note.rule, note.serious) for note in health_of(steps)]


def says(*steps: StepVitals) -> str:
    (note,) = health_of(steps)
    return f"{note.says} -> {note.todo}"


def with_iou(step: StepVitals, **values: float | None) -> StepVitals:
    return replace(step, iou={**step.iou, **values})


def test_a_healthy_run_has_no_note() -> None:
    assert rules(BASE, NEXT) == []
    assert rules(with_iou(BASE, cat=None), with_iou(NEXT, cat=None)) == [], "a class that nobody evaluates"


def test_a_run_that_was_scored_on_nothing_says_so() -> None:
    unseen = [replace(step, iou=dict.fromkeys(step.iou), predicted={}) for step in (BASE, NEXT)]
    assert rules(*unseen) == [("nothing evaluated", False)]
    assert "eval.txt" in says(*unseen)


def test_a_base_student_that_was_hardly_trained_is_told_with_its_iterations() -> None:
    weak = with_iou(BASE, cat=0.05, dog=0.03)
    assert rules(weak) == [("base student not trained", True)]
    told = says(weak)
    assert "the 2 classes that the run starts with have a mean IoU of 4.0 % after 300 iterations" in told
    assert "--set base.min_iterations=1000" in told
    given = replace(weak, step=2, iterations=0, losses=())
    assert "start from another student" in says(given)


def test_a_loss_that_falls_to_the_end_is_told() -> None:
    falling = replace(NEXT, losses=(1.0, 0.9, 0.8, 0.7))
    assert rules(BASE, falling) == [("loss still falling", False)]
    assert "fell by 12.5 % in its last quarter, from 0.8 to 0.7" in says(BASE, falling)
    assert "--set step.min_iterations=200" in says(BASE, falling)
    assert rules(BASE, replace(NEXT, losses=(1.0, 0.9, 0.7))) == [], "three epochs have no last quarter"


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        (MaskVitals(40, 0.49, 0.49), []),
        (MaskVitals(40, 0.6, 0.0), [("pseudo-labels empty", False)]),
        (MaskVitals(40, 1.0, 0.0), [("pseudo-labels empty", True)]),
        (MaskVitals(40, 0.0, 0.5), [("pseudo-labels all of their image", False)]),
        (MaskVitals(9, 0.0, 0.0), [("few images", False)]),
        (MaskVitals(0, 0.0, 0.0), [("few images", True)]),
    ],
)
def test_masks_that_teach_nothing_are_told(masks: MaskVitals, expected: list[Any]) -> None:
    assert rules(BASE, replace(NEXT, masks={"horse": masks})) == expected


def test_a_class_that_is_never_predicted_is_told_with_what_comes_first() -> None:
    never = replace(with_iou(NEXT, horse=0.0), predicted={**NEXT.predicted, "horse": 0.001})
    assert rules(BASE, never) == [("classes never predicted", True)]
    assert "after step 1 'horse', of the 1 class that it teaches, is predicted nowhere" in says(BASE, never)
    assert "--set step.min_iterations=500" in says(BASE, never)
    empty = replace(never, masks={"horse": MaskVitals(40, 0.95, 0.0)})
    told = {note.rule: note.todo for note in health_of((BASE, empty))}
    assert told["classes never predicted"] == "the pseudo-labels of 'horse' come first, see above"
    unknown = replace(NEXT, predicted={name: value for name, value in NEXT.predicted.items() if name != "horse"})
    assert rules(BASE, unknown) == [], "no evaluation image shows it"


def test_a_new_class_that_is_taken_for_another_is_told_with_the_share() -> None:
    taken = replace(NEXT, taken={"horse": ("dog", 0.44)})
    assert rules(BASE, taken) == [("new classes taken for others", True)], "more of it is seen as a dog than as a horse"
    assert "after step 1 the student sees 44.0 % of 'horse' as 'dog'" in says(BASE, taken)
    assert "images that show 'horse' and 'dog' together" in says(BASE, taken)
    better = with_iou(taken, horse=0.5)
    assert rules(BASE, better) == [("new classes taken for others", False)]
    assert rules(BASE, replace(NEXT, taken={"horse": ("dog", 0.24)})) == []
    assert rules(replace(BASE, taken={"cat": ("dog", 0.5)}), NEXT) == [], "a matter of the masks of step 0"
    given = replace(BASE, step=1, taken={"cat": ("dog", 0.5)})
    assert rules(given, replace(NEXT, step=2)) == [], "learnt before this run"


def test_classes_that_a_later_step_lost_are_named() -> None:
    lost = with_iou(NEXT, cat=0.15)
    assert rules(BASE, lost) == [("old classes lost", False)]
    assert "the classes of step 0 fell from 45.0 % to 25.0 % mean IoU until step 1, most of all 'cat'" in says(
        BASE, lost
    )
    assert rules(BASE, with_iou(NEXT, cat=0.1, dog=0.1)) == [("old classes lost", True)]
    assert rules(BASE, with_iou(NEXT, cat=0.36, dog=0.3)) == [("old classes lost", False)], "all of them, a little each"
    later = replace(NEXT, step=2, taught=("sheep",), iou={**NEXT.iou, "horse": 0.02, "sheep": 0.4}, masks={})
    later = replace(later, predicted={**NEXT.predicted, "sheep": 1.0})
    assert "the classes of step 1 fell from 30.0 % to 2.0 %" in says(BASE, NEXT, later), "a step's own classes too"
