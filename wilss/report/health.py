"""The health of a run in words: what went wrong without an error, by how much, and what to do about it.

A run ends well, with a report, also when its base student was hardly trained or a new class is never predicted. Each
rule below looks at numbers that every run has. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from wilss.report.records import HealthNote, percent
from wilss.words import counted

UNTRAINED = 0.15
"""A base student whose classes have a lower mean IoU is hardly trained: short trainings on photographs reach 0.3."""
UNSEEN = 0.02
"""A class that gets a smaller share of the pixels it has is never predicted, for all practical purposes."""
TAKEN = 0.25
"""A class of which another class gets this share of the pixels is taken for it."""
FALLING = 0.1
"""A loss that fell by more in the last quarter of a training, as share of what was left, had further to fall."""
FORGOTTEN = 0.1
"""Drop of the base classes' mean IoU that is told."""
LOST = 0.5
"""A class that keeps a smaller share of the IoU that it had when it was learnt is lost."""
HAD = 0.1
"""A class whose IoU was never higher had nothing to lose."""
EMPTY, WHOLE = 0.5, 0.5
"""Shares of a class's masks that are empty, or cover nearly all of their image, from which on it is told."""
COVERS = 0.95
"""A mask covers nearly all of its image from this share on."""
FEW = 10
"""A class that is learnt from fewer images is told."""
MOST_NAMES = 5
"""Classes that a sentence names."""


@dataclass(frozen=True)
class MaskVitals:
    """The masks of one class in a label set: how many, and which shares of them are empty and cover all, in [0, 1]."""

    rows: int
    empty: float
    whole: float


@dataclass(frozen=True)
class StepVitals:
    """What is looked at of one step.

    iou: by class after it, background first; None where the truth has none of it. predicted: class -> predicted pixels
    over true ones, where there are true ones. taught: its classes. losses: sum of all terms by epoch, without the
    epochs of a warm-up. masks: of its label set, by class. taken: of each class of the step, which other class, not
    background, gets most of its pixels, and their share in [0, 1].
    """

    step: int
    iou: Mapping[str, float | None]
    predicted: Mapping[str, float]
    taught: Sequence[str]
    iterations: int
    losses: Sequence[float] = ()
    masks: Mapping[str, MaskVitals] = field(default_factory=dict)
    taken: Mapping[str, tuple[str, float]] = field(default_factory=dict)


def health_of(steps: Sequence[StepVitals]) -> tuple[HealthNote, ...]:
    """Everything that is wrong with a run, step by step.

    Args:
        steps: from the run's first one, whose student is its base, to its last.
    """
    base = steps[0]
    of_steps = (chain(_still_falling(step), _bad_masks(step), _never_predicted(step)) for step in steps)
    taken = chain.from_iterable(map(_taken, steps[1:]))  # what the first student confuses, it learnt before
    return tuple(chain(_not_evaluated(steps[-1]), _base_untrained(base), *of_steps, taken, _lost(steps)))


def _not_evaluated(last: StepVitals) -> Iterator[HealthNote]:
    if not last.predicted:
        yield HealthNote(
            rule="nothing evaluated",
            step=last.step,
            serious=False,
            says="no image with a mask was kept to score on, so that nobody knows how good the student is: only losses "
            "and pseudo-labels were looked at",
            todo="name some images with masks in eval.txt; they are not trained on",
        )


def _base_untrained(base: StepVitals) -> Iterator[HealthNote]:
    mean = _mean([base.iou.get(name) for name in base.taught])
    if mean is None or mean >= UNTRAINED:
        return
    if base.step == 0:
        todo = (
            f"train it longer: --set base.min_iterations={max(1000, 3 * base.iterations)}, or more --set base.epochs; "
            "look at the masks of step 0 with 'wilss data check'"
        )
        said = f" after {base.iterations} iterations" if base.iterations else ""
    else:
        todo, said = "start from another student, or learn step 0 again", ""
    yield HealthNote(
        rule="base student not trained",
        step=base.step,
        serious=True,
        says=f"the {len(base.taught)} classes that the run starts with have a mean IoU of {percent(mean)} %{said}; all "
        "later steps are built upon them",
        todo=todo,
    )


def _still_falling(step: StepVitals) -> Iterator[HealthNote]:
    quarter = max(1, len(step.losses) // 4)
    if len(step.losses) < 4:
        return
    before, last = step.losses[-1 - quarter], step.losses[-1]
    fell = (before - last) / before if before > 0 else 0.0
    if fell > FALLING:
        section = "step" if step.step else "base"
        yield HealthNote(
            rule="loss still falling",
            step=step.step,
            serious=False,
            says=f"the loss of step {step.step} fell by {percent(fell)} % in its last quarter, from {before:.3g} to "
            f"{last:.3g}: it had further to fall after {step.iterations} iterations",
            todo=f"train longer: --set {section}.min_iterations={2 * step.iterations}",
        )


def _bad_masks(step: StepVitals) -> Iterator[HealthNote]:
    for name, masks in step.masks.items():
        if masks.rows < FEW:
            yield HealthNote(
                rule="few images",
                step=step.step,
                serious=masks.rows == 0,
                says=f"step {step.step} learns '{name}' from {counted(masks.rows, 'image')}",
                todo="tag more images that show it",
            )
        if masks.rows and masks.empty >= EMPTY:
            yield _odd_masks(step, name, masks, "empty", masks.empty)
        if masks.rows and masks.whole >= WHOLE:
            yield _odd_masks(step, name, masks, "all of their image", masks.whole)


def _odd_masks(step: StepVitals, name: str, masks: MaskVitals, what: str, share: float) -> HealthNote:
    return HealthNote(
        rule=f"pseudo-labels {what}",
        step=step.step,
        serious=share > 0.9,
        says=f"{percent(share)} % of the {masks.rows} pseudo-labels of '{name}' are {what}",
        todo=f"look at them with 'wilss inspect'; give the scorer other words for '{name}' (prompts in the benchmark's "
        "file), or take another --set foundation.scorer",
    )


def _never_predicted(step: StepVitals) -> Iterator[HealthNote]:
    names = [name for name in step.taught if step.predicted.get(name, 1.0) < UNSEEN]
    if not names:
        return
    section, it = ("step" if step.step else "base"), "it" if len(names) == 1 else "them"
    longer = f"train longer: --set {section}.min_iterations={max(500, 3 * step.iterations)}"
    empty = [name for name in names if name in step.masks and step.masks[name].empty >= EMPTY]
    yield HealthNote(
        rule="classes never predicted",
        step=step.step,
        serious=True,
        says=f"after step {step.step} {_listed(names)}, of the {counted(len(step.taught), 'class')} that it teaches, "
        f"{'is' if len(names) == 1 else 'are'} predicted nowhere, though evaluation images show {it}",
        todo=f"the pseudo-labels of {_listed(empty)} come first, see above" if empty else longer,
    )


def _taken(step: StepVitals) -> Iterator[HealthNote]:
    taken = {name: other for name, other in step.taken.items() if other[1] >= TAKEN}
    if not taken:
        return
    said = [f"{percent(share)} % of '{name}' as '{other}'" for name, (other, share) in list(taken.items())[:MOST_NAMES]]
    more = f" and so on for {len(taken) - MOST_NAMES} more" if len(taken) > MOST_NAMES else ""
    name, (other, _) = next(iter(taken.items()))
    yield HealthNote(
        rule="new classes taken for others",
        step=step.step,
        serious=any(share > (step.iou.get(name) or 0.0) for name, (_, share) in taken.items()),
        says=f"after step {step.step} the student sees {', '.join(said)}{more}",
        todo=f"tag images that show '{name}' and '{other}' together; see with 'wilss inspect' whether pseudo-labels of "
        f"'{name}' hold '{other}'; or train longer: --set step.min_iterations={2 * max(step.iterations, 100)}",
    )


def _lost(steps: Sequence[StepVitals]) -> Iterator[HealthNote]:
    last = steps[-1]
    for step in steps[:-1]:
        had = {name: value for name in step.taught if (value := step.iou.get(name)) is not None and value > HAD}
        lost = [name for name, value in had.items() if (last.iou.get(name) or 0.0) < LOST * value]
        before, after = _mean(list(had.values())), _mean([last.iou.get(name) for name in had])
        if before is None or after is None or (not lost and before - after <= FORGOTTEN):
            continue
        named = f", most of all {_listed(lost)}" if lost else ""
        yield HealthNote(
            rule="old classes lost",
            step=last.step,
            serious=after < LOST * before,
            says=f"the classes of step {step.step} fell from {percent(before)} % to {percent(after)} % mean IoU until "
            f"step {last.step}{named}",
            todo="use a method that keeps them (fmwiss rather than finetune), a lower --set step.lr_backbone, or "
            "--set step.tuning=frozen",
        )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    quoted = [f"'{name}'" for name in names[:MOST_NAMES]]
    if len(names) > MOST_NAMES:
        quoted.append(f"{len(names) - MOST_NAMES} more")
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
