"""What a review says after its acts: states and versions of rows, and what each person can undo and do again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stores.labels.review.state import NOTHING, Act, Key, RowState


@dataclass
class Hands:
    """One person's acts that can be undone, and done again; the last one is next.

    Each is the number of the act, and of the act since which nobody else may have touched its rows.
    """

    undo: list[tuple[int, int]] = field(default_factory=list)
    redo: list[tuple[int, int]] = field(default_factory=list)

    def take(self, act: Act) -> None:
        """Follow the person's next act."""
        if act.what not in ("undo", "redo") or act.of is None:
            self.undo.append((act.n, act.n))
            self.redo.clear()
            return
        source, target = (self.undo, self.redo) if act.what == "undo" else (self.redo, self.undo)
        source[:] = [entry for entry in source if entry[0] != act.of]
        target.append((act.of, act.n))


class Standing:
    """The result of acts, followed one by one."""

    def __init__(self) -> None:
        self.acts: list[Act] = []
        self.states: dict[Key, RowState] = {}
        self.touched: dict[Key, list[int]] = {}
        self.by_image: dict[str, list[int]] = {}
        self.hands: dict[str, Hands] = {}
        self.undone: set[int] = set()

    def follow(self, act: Act) -> None:
        """Take the next act."""
        self.acts.append(act)
        for change in act.changes:
            key = change.key
            if (touched := self.touched.get(key)) is None:
                self.touched[key] = [act.n]
            else:
                touched.append(act.n)
            numbers = self.by_image.setdefault(key.image, [])
            if not numbers or numbers[-1] != act.n:
                numbers.append(act.n)
            if change.after is not NOTHING and change.after:
                self.states[key] = change.after
            else:
                self.states.pop(key, None)
        self.hands.setdefault(act.who, Hands()).take(act)
        if act.of is not None:
            (self.undone.add if act.what == "undo" else self.undone.discard)(act.of)

    def act(self, n: int) -> Act:
        """An act by its number."""
        return self.acts[n - 1]

    def version(self, key: Key) -> int:
        """Number of the last act that touched a row, 0 for none."""
        numbers = self.touched.get(key)
        return numbers[-1] if numbers else 0

    def touched_since(self, key: Key, who: str, n: int) -> Act | None:
        """The last act of somebody else on a row after act ``n`` that stands, None where there is none."""
        for number in reversed(self.touched.get(key, ())):
            if number <= n:
                return None
            act = self.act(number)
            if act.who != who and act.what not in ("undo", "redo") and number not in self.undone:
                return act
        return None

    def wanted(self, n: int, back: bool) -> Mapping[Key, tuple[RowState, RowState]]:
        """Of every row of an act: what it must be now, and what it becomes when the act is undone or done again."""
        rows = {change.key: (change.before, change.after) for change in self.act(n).changes}
        return {key: (after, before) if back else (before, after) for key, (before, after) in rows.items()}

    def state(self, key: Key) -> RowState:
        """What is said of a row."""
        return self.states.get(key, NOTHING)
