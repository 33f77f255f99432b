"""The gate: whether a model may take the place of the champion, rule by rule and class by class. Imports no torch.

Old classes are those that the champion knows, new ones those that only the challenger does; background is neither, and
counts in the mean of all (convention C). A class that no guard image shows has no IoU (None).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Literal

from pydantic import BaseModel, ConfigDict

from wilss.measure.spec import GateSpec

Rule = Literal["images", "images per class", "all", "old", "new"]
Scores = Mapping[str, float | None]
"""Class -> IoU in [0, 1], None where nothing shows the class; background by that name."""
BACKGROUND = "background"
ROUNDING = 1e-9
"""A bound is reached exactly where a difference of two shares is off by less."""


class Ruling(BaseModel):
    """What one rule says.

    asked: False where there is nothing to compare with, and then it passed. value, bound: what was seen, and what was
    wanted; of the worst class where a rule is about classes. by: how far the bound was passed, negative where it was
    missed. classes: that failed. told: the same as a sentence.
    """

    model_config = ConfigDict(frozen=True)

    rule: Rule
    passed: bool
    asked: bool = True
    value: float | None = None
    bound: float | None = None
    by: float | None = None
    classes: tuple[str, ...] = ()
    told: str


class ClassLine(BaseModel):
    """One class at the gate. images: of the guard set that show it, None where it is not counted. failed: rules."""

    model_config = ConfigDict(frozen=True)

    name: str
    champion: float | None
    challenger: float | None
    is_new: bool = False
    images: int | None = None
    failed: tuple[Rule, ...] = ()

    @property
    def change(self) -> float | None:
        """IoU gained; None where one of the two is unknown."""
        if self.champion is None or self.challenger is None:
            return None
        return self.challenger - self.champion


class Verdict(BaseModel):
    """What the gate says.

    champion_all, challenger_all: mean IoU of background and the classes that both know and the guard set shows; None
    without a champion, or where there is no such class. notes: what could not be judged.
    """

    model_config = ConfigDict(frozen=True)

    passed: bool
    rules: tuple[Ruling, ...]
    classes: tuple[ClassLine, ...]
    champion_all: float | None
    challenger_all: float | None
    notes: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences of the rules that were not met."""
        return tuple(rule.told for rule in self.rules if not rule.passed)


def judge(
    gate: GateSpec, challenger: Scores, champion: Scores | None, n_images: int, shown: Mapping[str, int]
) -> Verdict:
    """Hold a challenger against the champion on the same images.

    Args:
        champion: None where no model is in use yet; then every class is new.
        n_images: size of the guard set. shown: class -> number of its images that show it.
    """
    known = _classes(champion or {})
    new = [name for name in _classes(challenger) if name not in known]
    rules = (
        _images(gate, n_images),
        _per_class(gate, challenger, shown),
        _all(gate, challenger, champion),
        _old(gate, challenger, champion),
        _new(gate, challenger, new),
    )
    both = _both(challenger, champion or {})
    return Verdict(
        passed=all(rule.passed for rule in rules),
        rules=rules,
        classes=tuple(_lines(challenger, champion or {}, new, shown, rules)),
        champion_all=mean_iou(champion or {}, both),
        challenger_all=mean_iou(challenger, both if champion else challenger),
        notes=tuple(_notes(champion, known, challenger)),
    )


def mean_scores(several: Sequence[Scores]) -> dict[str, float | None]:
    """The mean of each class over seeds; None where one of them has none."""
    names = dict.fromkeys(name for scores in several for name in scores)
    found: dict[str, float | None] = {}
    for name in names:
        values = [value for scores in several if (value := scores.get(name)) is not None]
        found[name] = fmean(values) if len(values) == len(several) else None
    return found


def points(value: float | None) -> str:
    """A share, or a difference of two, in points with two digits."""
    return "–" if value is None else f"{100 * value:z.2f}"


def _classes(scores: Scores) -> list[str]:
    return [name for name in scores if name != BACKGROUND]


def _both(challenger: Scores, champion: Scores) -> list[str]:
    """Names that both score."""
    return [name for name, value in champion.items() if value is not None and challenger.get(name) is not None]


def mean_iou(scores: Scores, names: Iterable[str]) -> float | None:
    """Mean IoU of these classes, those without one left out; None where none has one."""
    values = [value for name in names if (value := scores.get(name)) is not None]
    return fmean(values) if values else None


def _reached(by: float) -> bool:
    return by >= -ROUNDING


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _images(gate: GateSpec, n_images: int) -> Ruling:
    by = n_images - gate.least_images
    told = f"the guard set has {n_images} images, at least {gate.least_images} are wanted"
    return Ruling(rule="images", passed=by >= 0, value=n_images, bound=gate.least_images, by=by, told=told)


def _per_class(gate: GateSpec, challenger: Scores, shown: Mapping[str, int]) -> Ruling:
    counts = {name: shown.get(name, 0) for name in _classes(challenger)}
    least = min(counts.values(), default=0)
    few = tuple(name for name, count in counts.items() if count < gate.least_per_class)
    told = f"every class is shown by {least} or more guard images, at least {gate.least_per_class} are wanted"
    if few:
        told = f"fewer than {gate.least_per_class} guard images show {_listed(few)} (fewest: {least})"
    by = least - gate.least_per_class
    return Ruling(
        rule="images per class",
        passed=not few,
        value=least,
        bound=gate.least_per_class,
        by=by,
        classes=few,
        told=told,
    )


def _all(gate: GateSpec, challenger: Scores, champion: Scores | None) -> Ruling:
    if champion is None:
        return Ruling(rule="all", passed=True, asked=False, told="there is no champion yet to compare all classes with")
    both = _both(challenger, champion)
    before, now = mean_iou(champion, both), mean_iou(challenger, both)
    if before is None or now is None:
        told = "the guard set shows no class that both models know, so their means cannot be compared"
        return Ruling(rule="all", passed=False, told=told)
    bound = before - gate.epsilon
    told = (
        f"the mean of all {len(both)} classes that both know is {points(now)}, the champion's is {points(before)}; it "
        f"may be {points(gate.epsilon)} lower, {_margin(now - bound)}"
    )
    return Ruling(rule="all", passed=_reached(now - bound), value=now, bound=bound, by=now - bound, told=told)


def _old(gate: GateSpec, challenger: Scores, champion: Scores | None) -> Ruling:
    if champion is None:
        return Ruling(rule="old", passed=True, asked=False, told="there is no champion yet whose classes could be lost")
    margins = {}
    for name in _classes(champion):
        before, now = champion[name], challenger.get(name)
        if name not in challenger:
            margins[name] = gate.delta - (1.0 if before is None else before)
        elif before is not None and now is not None:
            margins[name] = now - before + gate.delta
    gone = [name for name in _classes(champion) if name not in challenger]
    lost = tuple(name for name, by in margins.items() if not _reached(by) or name in gone)
    if not margins:
        told = "the guard set shows no class that the champion knows, so none can be compared"
        return Ruling(rule="old", passed=False, told=told)
    worst = min(margins, key=lambda name: margins[name])
    before = champion[worst]
    bound = None if before is None else before - gate.delta
    return Ruling(
        rule="old",
        passed=not lost,
        value=challenger.get(worst),
        bound=bound,
        by=margins[worst],
        classes=lost,
        told=_told_of_old(gate, lost, gone, worst, margins[worst]),
    )


def _told_of_old(gate: GateSpec, lost: Sequence[str], gone: Sequence[str], worst: str, by: float) -> str:
    if gone:
        return f"the challenger does not know {_listed(gone)}, which the champion knows"
    change = f"{worst} changed by {points(by - gate.delta)}"
    if not lost:
        return f"no class of the champion lost more than {points(gate.delta)}; {change}"
    return f"{_listed(lost)} lost more than {points(gate.delta)}; the most, {change}, {_margin(by)}"


def _new(gate: GateSpec, challenger: Scores, new: Sequence[str]) -> Ruling:
    if not new:
        return Ruling(rule="new", passed=True, asked=False, told="the challenger brings no new class")
    values = {name: value for name in new if (value := challenger[name]) is not None}
    unseen = tuple(name for name in new if challenger[name] is None and gate.least_per_class)
    low = tuple(name for name, value in values.items() if not _reached(value - gate.floor))
    if not values:
        told = f"no guard image shows {_listed(list(new))}, so its floor cannot be looked at"
        return Ruling(rule="new", passed=not unseen, bound=gate.floor, classes=unseen, told=told)
    worst = min(values, key=lambda name: values[name])
    by = values[worst] - gate.floor
    told = f"every new class has {points(gate.floor)} or more; the lowest, {worst}, has {points(values[worst])}"
    if low:
        told = f"{_listed(low)} under the floor of {points(gate.floor)}; {worst} has {points(values[worst])}"
        told += f", {_margin(by)}"
    elif unseen:
        told = f"no guard image shows {_listed(unseen)}, so its floor cannot be looked at"
    return Ruling(
        rule="new",
        passed=not (low or unseen),
        value=values[worst],
        bound=gate.floor,
        by=by,
        classes=(*low, *unseen),
        told=told,
    )


def _margin(by: float) -> str:
    return f"{points(abs(by))} {'more' if _reached(by) else 'less'} than wanted"


def _lines(
    challenger: Scores, champion: Scores, new: Sequence[str], shown: Mapping[str, int], rules: Sequence[Ruling]
) -> Iterable[ClassLine]:
    for name in dict.fromkeys([*challenger, *champion]):
        yield ClassLine(
            name=name,
            champion=champion.get(name),
            challenger=challenger.get(name),
            is_new=name in new,
            images=None if name == BACKGROUND else shown.get(name, 0),
            failed=tuple(rule.rule for rule in rules if name in rule.classes),
        )


def _notes(champion: Scores | None, known: Sequence[str], challenger: Scores) -> Iterable[str]:
    if champion is None:
        yield "no model was in use: only floors and the number of images were looked at"
        return
    unseen = [name for name in known if champion[name] is None or (name in challenger and challenger[name] is None)]
    if unseen:
        yield f"no guard image shows {_listed(unseen)}: nothing can be said of what was lost there"
