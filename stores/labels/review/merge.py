"""Taking the acts of another copy of a review: what is known is passed over, and rows that contradict are left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stores.labels.review.review import Review
from stores.labels.review.state import Act, Key, RowState

Name = tuple[str, str, str]
"""Of an act in any copy: who did it, when, and what."""


@dataclass(frozen=True)
class Merged:
    """What came of a merge: acts that were taken, acts that were there already, and rows that were left as they are."""

    taken: int
    known: int
    left: tuple[Key, ...]


def merge_acts(review: Review, acts: Sequence[Act]) -> Merged:
    """Take acts of another copy, in order, as the acts of those who did them.

    A row is left where something else is said of it here than the act began from; so are later acts on it. An act that
    is taken back, or done again, must have been taken itself.
    """
    with review.writing():
        return _Merge(review).take(acts)


class _Merge:
    def __init__(self, review: Review) -> None:
        self.review = review
        self.there: dict[Name, int] = {_name(act): act.n for act in review.acts}
        self.numbers: dict[int, int] = {}
        self.left: dict[Key, None] = {}

    def take(self, acts: Sequence[Act]) -> Merged:
        known = taken = 0
        for act in acts:
            if n := self.there.get(_name(act)):
                known += 1
                self.numbers[act.n] = n
                self._tell_what_was_left(act, n)
            elif rows := self._rows(act):
                taken += 1
                self.numbers[act.n] = self.review.adopt(act, rows, self._of(act)).n
        return Merged(taken, known, tuple(self.left))

    def _rows(self, act: Act) -> dict[Key, RowState]:
        lost, rows = act.of is not None and self._of(act) is None, {}
        for change in act.changes:
            key, now = change.key, self.review.state(*change.key)
            if now == change.after != change.before:
                continue
            if lost or key in self.left or now != change.before:
                self.left[key] = None
            else:
                rows[key] = change.after
        return rows

    def _of(self, act: Act) -> int | None:
        return None if act.of is None else self.numbers.get(act.of)

    def _tell_what_was_left(self, act: Act, n: int) -> None:
        """Rows of an act that an earlier merge took in part."""
        taken = {change.key for change in self.review.acts[n - 1].changes}
        for change in act.changes:
            if change.key not in taken and self.review.state(*change.key) != change.after:
                self.left[change.key] = None


def _name(act: Act) -> Name:
    return act.who, act.when, act.what
