"""What was made from what as a small drawing: boxes in columns, parents to the left; and the same as a nested list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wilss.report.charts import shortened

BOX, ROW = (148, 40), (196, 54)
"""Width and height of a box, and of the place that it stands in."""
MOST_NODES = 40
"""Of one drawing; more are no picture any more."""
DEEPEST = 24
"""Of a nested list."""


@dataclass(frozen=True)
class Thing:
    """One thing: what it is in a word or two, its name, its page, and the keys of what it was made from."""

    key: str
    noun: str
    name: str
    address: str
    parents: tuple[str, ...] = ()
    here: bool = False


@dataclass(frozen=True)
class Box:
    """A thing and its place in pixels."""

    thing: Thing
    x: int
    y: int

    @property
    def text(self) -> str:
        """Its name, short enough for the box."""
        return shortened(self.thing.name)


@dataclass(frozen=True)
class Branch:
    """A thing of the nested list, and what was made from it. also: further parents in words."""

    thing: Thing
    also: str
    children: list[Branch] = field(default_factory=list)


@dataclass(frozen=True)
class Graph:
    """A drawing. left_out: how many things there were beyond those that are drawn."""

    boxes: list[Box]
    lines: list[str]
    tree: list[Branch]
    left_out: int
    width: int
    height: int


def graph_of(things: Iterable[Thing]) -> Graph:
    """The drawing of things; parents that are not among them are passed over, and so are circles."""
    given = list({thing.key: thing for thing in things}.values())
    kept = {thing.key: thing for thing in given[:MOST_NODES]}
    parents = {key: [p for p in thing.parents if p in kept and p != key] for key, thing in kept.items()}
    columns = _columns(parents)
    drawn = _direct(parents, columns)
    places = _places(columns, drawn)
    boxes = [Box(kept[key], 1 + column * ROW[0], 1 + row * ROW[1]) for key, (column, row) in places.items()]
    lines = [_line(places[parent], places[key]) for key, own in drawn.items() for parent in own]
    last = [max((place[axis] for place in places.values()), default=0) for axis in (0, 1)]
    size = (last[0] * ROW[0] + BOX[0] + 2, last[1] * ROW[1] + BOX[1] + 2)
    return Graph(boxes, lines, _tree(kept, parents, columns), len(given) - len(kept), *size)


def _direct(parents: Mapping[str, Sequence[str]], columns: Mapping[str, int]) -> dict[str, list[str]]:
    """Parents that are worth a line: none that another parent was made from, as that line says it already."""
    above: dict[str, set[str]] = {}
    found = {}
    for key in sorted(columns, key=lambda key: columns[key]):
        own = [parent for parent in dict.fromkeys(parents[key]) if columns[parent] < columns[key]]
        further = set().union(*(above[parent] for parent in own))
        found[key] = [parent for parent in own if parent not in further]
        above[key] = {*own, *further}
    return found


def _columns(parents: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """One behind the furthest parent; what is in a circle, which no honest store has, stands where it is met."""
    columns: dict[str, int] = {}
    left = list(parents)
    while left:
        ready = [key for key in left if all(parent in columns for parent in parents[key])] or left[:1]
        for key in ready:
            columns[key] = max((columns.get(parent, -1) for parent in parents[key]), default=-1) + 1
        left = [key for key in left if key not in columns]
    return columns


def _places(columns: Mapping[str, int], parents: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Column and row: a thing stands beside its first parent where there is room, else below.

    A line that passes columns does so in the row of the thing that it leads to, which is kept free there.
    """
    places: dict[str, tuple[int, int]] = {}
    taken: set[tuple[int, int]] = set()
    for key in sorted(columns, key=lambda key: columns[key]):
        first = min((columns[parent] + 1 for parent in parents[key]), default=columns[key])
        row = min((places[parent][1] for parent in parents[key]), default=0)
        while taken & (wanted := {(column, row) for column in range(first, columns[key] + 1)}):
            row += 1
        taken |= wanted
        places[key] = columns[key], row
    return places


def _line(start: tuple[int, int], stop: tuple[int, int]) -> str:
    """A curve from the right side of a box to the row of another, and on to its left side."""
    (x, y), (u, v) = ((1 + column * ROW[0], 1 + row * ROW[1] + BOX[1] // 2) for column, row in (start, stop))
    x, gap = x + BOX[0], ROW[0] - BOX[0]
    return f"M{x} {y}C{x + gap // 2} {y} {x + gap // 2} {v} {x + gap} {v}H{u}"


def _tree(
    things: Mapping[str, Thing], parents: Mapping[str, Sequence[str]], columns: Mapping[str, int]
) -> list[Branch]:
    """Every thing once, below the furthest of its parents."""
    branches = {
        key: Branch(thing, ", ".join(f"{things[p].noun} {things[p].name}" for p in parents[key]))
        for key, thing in things.items()
    }
    roots, depth = [], dict.fromkeys(things, 0)
    for key in sorted(things, key=lambda key: columns[key]):
        above = [p for p in parents[key] if columns[p] < columns[key] and depth[p] < DEEPEST]
        if above:
            first = max(above, key=lambda p: columns[p])
            depth[key] = depth[first] + 1
            branches[first].children.append(branches[key])
        else:
            roots.append(branches[key])
    return roots
