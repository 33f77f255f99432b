"""What charts are drawn from."""

from __future__ import annotations

from itertools import pairwise
from math import inf, nan
from xml.etree import ElementTree

import pytest

from tests.wilss.test_compare import run
from wilss.report.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    MOST_CLASSES,
    RIGHT,
    TOP,
    WIDTH,
    Confused,
    heat_map,
    histogram,
    line_chart,
    round_numbers,
)
from wilss.report.comparison import plot
from wilss.report.pages import ENVIRONMENT

MATRIX = Confused(("background", "cat", "dog", "gone"), ((80, 20, 0, 0), (5, 10, 5, 0), (0, 30, 10, 0), (0, 0, 0, 0)))


def drawn(macro: str, *given: object) -> ElementTree.Element:
    """A chart as the pages draw it."""
    module = ENVIRONMENT.get_template("parts.html.j2").module
    return ElementTree.fromstring(f"<div>{getattr(module, macro)(*given)}</div>")


def test_points_lie_where_their_values_are() -> None:
    chart = line_chart("IoU", {"old": [(0, 0.0), (1, 50.0), (2, 100.0)]}, "step", "%", limits=(0, 100))
    (line,) = chart.lines
    assert [(q.x, q.y) for q in line.points] == [
        (LEFT, HEIGHT - BOTTOM),
        ((LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2),
        (WIDTH - RIGHT, TOP),
    ]
    assert line.points[1].text == "old, step 1: 50"
    assert [tick.text for tick in chart.y_ticks] == ["0", "20", "40", "60", "80", "100"]
    assert [tick.text for tick in chart.x_ticks] == ["0", "1", "2"]


@pytest.mark.parametrize(
    "values", [[], [(1, 3.7)], [(1, 0.0)], [(1, nan), (2, inf)], [(1, 2.0), (2, 2.0)], [(1, 1e-9), (2, 1e9)]]
)
@pytest.mark.parametrize("log", [False, True])
def test_odd_values_are_drawn_within_the_chart(values: list[tuple[float, float]], log: bool) -> None:
    chart = line_chart("loss", {"a": values, "b": []}, "epoch", "", log=log)
    for line in chart.lines:
        assert all(LEFT <= q.x <= WIDTH - RIGHT and TOP <= q.y <= HEIGHT - BOTTOM for q in line.points)
    assert len(chart.y_ticks) >= 2
    assert len({tick.text for tick in chart.y_ticks}) == len(chart.y_ticks)
    assert all(a.at - b.at >= 11 for a, b in pairwise(chart.y_ticks)), "their numbers do not touch"
    assert len(chart.lines[0].points) == len([y for _, y in values if y == y and y != inf and (y > 0 or not log)])
    assert drawn("line_chart", chart).find(".//svg") is not None


def test_logarithms_are_evenly_spaced() -> None:
    chart = line_chart("loss", {"a": [(1, 1.0), (2, 10.0), (3, 100.0)]}, "epoch", "", log=True)
    first, second, third = (q.y for q in chart.lines[0].points)
    assert first - second == pytest.approx(second - third)
    assert chart.lines[0].last == "100"


@pytest.mark.parametrize(
    ("low", "high", "numbers"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0, 7, [0, 2, 4, 6, 8]),
        (0.1, 0.3, [0.1, 0.15, 0.2, 0.25, 0.3]),
        (5, 5, [5, 6]),
    ],
)
def test_round_numbers(low: float, high: float, numbers: list[float]) -> None:
    found = round_numbers(low, high)
    assert found[0] <= low
    assert found[-1] >= high
    assert found == pytest.approx(numbers)


def test_bars_of_a_histogram_are_links() -> None:
    found = histogram("score", [0, 0.5, 1], [4, 8], "score", ["?a=0", "?a=0.5"])
    low, high = found.bars
    assert high.height == pytest.approx(2 * low.height, abs=0.2)
    assert high.y + high.height == pytest.approx(HEIGHT - BOTTOM)
    assert low.text == "score 0 to 0.5: 4"
    links = drawn("histogram", found).findall(".//a")
    assert [(link.get("href"), link.get("aria-label")) for link in links] == [("?a=0", low.text), ("?a=0.5", high.text)]
    plain = drawn("histogram", histogram("score", [0, 1], [0], "score"))
    assert plain.findall(".//a") == []


def test_a_confusion_matrix_tells_shares_of_true_classes() -> None:
    found = heat_map(MATRIX)
    assert found.rows[1] == (0.25, 0.5, 0.25, 0.0)
    assert found.rows[3] == (None,) * 4
    assert MATRIX.most(2) == [("dog", "cat", 0.75), ("cat", "background", 0.25)]
    texts = [text.text for text in drawn("heat_map", found, "Confusion").findall(".//title")]
    assert "dog taken for cat: 75.0 %" in texts
    assert not any(text and text.startswith("gone") for text in texts)


def test_of_many_classes_those_that_are_found_least_are_shown() -> None:
    side = MOST_CLASSES + 10
    counts = [[(i if i == j else 0) + (100 if j == 0 else 0) for j in range(side)] for i in range(side)]
    counts[3] = [0] * side
    found = heat_map(Confused(tuple(f"c{i}" for i in range(side)), counts))
    assert (len(found.names), found.of) == (MOST_CLASSES, side)
    assert found.names[:3] == ("c1", "c2", "c4"), "all of background is found; of c3 there is nothing"


def test_long_names_do_not_spread_the_matrix() -> None:
    found = heat_map(Confused(("n" * 300, "b"), ((1, 0), (0, 1))))
    assert found.side < 250


def test_the_plot_of_a_comparison_is_a_file_of_its_own() -> None:
    text = plot("<b> & c", {"a<b": [run(0, 0.4, 3), run(1, 0.6, 3)], "joint": [run(0, 0.8, 1)]})
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words.count("a<b") == 4, "three bars and a line"
    assert words.count("joint") == 3, "it has no line"
    assert "50.0 ± 14.1" in words
    assert "var(" not in text, "not every program knows variables"
    assert text == plot("<b> & c", {"a<b": [run(0, 0.4, 3), run(1, 0.6, 3)], "joint": [run(0, 0.8, 1)]})
