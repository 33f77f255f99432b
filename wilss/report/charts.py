"""What charts are drawn from: points and bars in pixels of an SVG, which `parts.html.j2` draws. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

WIDTH, HEIGHT = 380, 240
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 36
"""Margins of a chart, where its numbers stand."""
MOST_MARKED = 24
"""Points of a line that have a mark each; more would run into each other."""
MOST_POWERS = 6
"""Steps of a logarithmic axis in powers of ten."""
MOST_CLASSES = 32
"""Of a confusion matrix that is drawn whole."""
CELL, SMALL_CELL, LETTER = 24, 20, 6.4
"""Pixels of a cell of a heat map, of one of many, and of a letter of its names."""
LONGEST = 18


@dataclass(frozen=True)
class Tick:
    """A number beside an axis: where, and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class Point:
    """A point of a line in pixels, and what it stands for in words."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Line:
    """One line. last: its last value in words."""

    name: str
    points: tuple[Point, ...]
    last: str

    @property
    def marked(self) -> bool:
        """Whether each of its points has a mark."""
        return len(self.points) <= MOST_MARKED


@dataclass(frozen=True)
class LineChart:
    """Lines over a common axis."""

    title: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    width: int = WIDTH
    height: int = HEIGHT


def line_chart(
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    x_label: str,
    y_label: str,
    limits: tuple[float, float] | None = None,
    log: bool = False,
) -> LineChart:
    """A chart of lines; values that are no finite numbers, or of a logarithmic axis not above 0, are left out.

    Args:
        series: name -> (x, y) in their order. limits: of y, for a linear axis; those of the values when left out.
    """
    known = {name: [(x, y) for x, y in values if isfinite(y) and (y > 0 or not log)] for name, values in series.items()}
    xs, ys = ([point[axis] for values in known.values() for point in values] or [1.0, 2.0] for axis in (0, 1))
    x_ticks, (low, high) = _whole_numbers(min(xs), max(xs)), (min(xs), max(xs))
    y_ticks = _powers(min(ys), max(ys)) if log else round_numbers(*(limits or (min(ys), max(ys))))
    x_of = _scale(low - (low == high), high + (low == high), LEFT, WIDTH - RIGHT)
    bottom, top = (log10(y_ticks[0]), log10(y_ticks[-1])) if log else (y_ticks[0], y_ticks[-1])
    place = _scale(bottom, top, HEIGHT - BOTTOM, TOP)

    def y_of(value: float) -> float:
        return place(log10(value) if log else value)

    def point(name: str, x: float, y: float) -> Point:
        return Point(x_of(x), y_of(y), f"{name}, {x_label} {x:g}: {y:.4g}")

    lines = [Line(name, tuple(point(name, *xy) for xy in values), _last(values)) for name, values in known.items()]
    return LineChart(
        title,
        x_label,
        y_label,
        tuple(Tick(x_of(x), f"{x:g}") for x in x_ticks),
        tuple(Tick(y_of(y), f"{y:g}") for y in y_ticks),
        tuple(lines),
    )


def _last(values: Sequence[tuple[float, float]]) -> str:
    return f"{values[-1][1]:.3g}" if values else "–"


def _scale(low: float, high: float, start: float, stop: float) -> Callable[[float], float]:
    """A function from values to pixels, with one digit behind the point."""
    span = (high - low) or 1.0
    return lambda value: round(start + (value - low) / span * (stop - start), 1)


def round_numbers(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers, evenly spaced, from below ``low`` to above ``high``."""
    raw = (high - low or abs(high) or 1.0) / about
    power = 10.0 ** floor(log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]


def _whole_numbers(low: float, high: float) -> list[float]:
    """At most seven whole numbers within an axis."""
    step = max(1, ceil((high - low) / 6))
    return [float(x) for x in range(ceil(low), floor(high) + 1, step)]


def _powers(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten from below ``low`` to above ``high``, or powers alone where those are many."""
    first, last = floor(log10(low)), ceil(log10(high))
    factors, every = (1, 2, 5) if last - first <= 3 else (1,), -(-(last - first) // MOST_POWERS) or 1
    exponents = range(first, last + every + 1, every)
    steps = [round(factor * 10.0**n, 12 - min(n, 0)) for n in exponents for factor in factors]
    start = max(i for i, value in enumerate(steps) if value <= low * 1.0001)
    stop = min(i for i, value in enumerate(steps) if value >= high * 0.9999 and i > start)
    return steps[start : stop + 1]


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram in pixels, what it stands for in words, and where it leads."""

    x: float
    y: float
    width: float
    height: float
    text: str
    address: str = ""


@dataclass(frozen=True)
class Histogram:
    """Bars over a common axis."""

    title: str
    x_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    bars: tuple[Bar, ...]
    width: int = WIDTH
    height: int = HEIGHT


def histogram(
    title: str, edges: Sequence[float], counts: Sequence[int], x_label: str, addresses: Sequence[str] = ()
) -> Histogram:
    """A histogram, whose bars may be links.

    Args:
        edges: one more than ``counts``, ascending. addresses: where every bar leads; none when empty.
    """
    ticks = round_numbers(0, max([*counts, 1]), 4)
    x_of = _scale(edges[0], edges[-1], LEFT, WIDTH - RIGHT)
    y_of = _scale(0, ticks[-1], HEIGHT - BOTTOM, TOP)
    bars = []
    for number, count in enumerate(counts):
        low, high = edges[number], edges[number + 1]
        left, top = x_of(low) + 0.5, y_of(count)
        text = f"{x_label} {low:.3g} to {high:.3g}: {count}"
        size = round(x_of(high) - left - 0.5, 1), round(HEIGHT - BOTTOM - top, 1)
        bars.append(Bar(left, top, *size, text, addresses[number] if addresses else ""))
    every = max(1, ceil((len(edges) - 1) / 5))
    x_ticks = tuple(Tick(x_of(edge), f"{edge:.3g}") for edge in edges[::every])
    whole = tuple(Tick(y_of(y), f"{y:g}") for y in ticks if y == int(y))
    return Histogram(title, x_label, x_ticks, whole, tuple(bars))


@dataclass(frozen=True)
class Confused:
    """Pixels by true class (rows) and predicted class (columns), in the order of the names."""

    names: tuple[str, ...]
    counts: Sequence[Sequence[int]]

    def share(self, row: int, column: int) -> float | None:
        """Share of the pixels of a true class that were predicted as a class; None for a class without pixels."""
        total = sum(self.counts[row])
        return self.counts[row][column] / total if total else None

    def most(self, count: int = 10) -> list[tuple[str, str, float]]:
        """What is taken for what most often: true class, predicted class, share of the true class's pixels."""
        sides = range(len(self.names))
        pairs = [(self.share(i, j) or 0.0, i, j) for i in sides for j in sides if i != j]
        first = sorted(pairs, key=lambda pair: (-pair[0], *pair[1:]))[:count]
        return [(self.names[i], self.names[j], share) for share, i, j in first if share > 0]


@dataclass(frozen=True)
class HeatMap:
    """A confusion matrix in pixels: names along both sides, and a row of shares for every true class.

    shown: of how many classes there are, those that are drawn.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[float | None, ...], ...]
    of: int
    margin: int
    cell: int

    @property
    def side(self) -> int:
        """Width and height of the whole."""
        return self.margin + self.cell * len(self.names) + 2


def heat_map(confused: Confused) -> HeatMap:
    """The matrix, or of many classes those that are mistaken most, in their order."""
    sides = list(range(len(confused.names)))
    right = {i: share for i in sides if (share := confused.share(i, i)) is not None}
    kept = sides if len(sides) <= MOST_CLASSES else sorted(sorted(right, key=lambda i: (right[i], i))[:MOST_CLASSES])
    names = tuple(shortened(confused.names[i]) for i in kept)
    rows = tuple(tuple(confused.share(i, j) for j in kept) for i in kept)
    return HeatMap(
        names,
        rows,
        len(sides),
        round(max(map(len, names), default=1) * LETTER) + 12,
        CELL if len(kept) <= 24 else SMALL_CELL,
    )


def shortened(name: str) -> str:
    """A name that fits beside a heat map."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
