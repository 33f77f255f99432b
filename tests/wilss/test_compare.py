"""Means and spreads over seeds."""

from __future__ import annotations

import pytest

from wilss.grid import VARIANTS, make_grid
from wilss.report.comparison import Spread, shown, spread, step_curves, summary
from wilss.report.records import Means, RunReport, Scored, StepEntry, percent
from wilss.spec import make_spec


def run(seed: int, all_: float, steps: int = 2) -> RunReport:
    means = Means(old=0.5, new=None, all=all_)
    tables = {"full": Scored(conventions=dict.fromkeys("ABC", means), groups=(0.5, 0.5), per_class_iou={})}
    entry = StepEntry(step=0, n_classes=1, metrics=means, per_class_iou={}, tables=tables, forgetting=0.1 * seed)
    facts = {"run": "r", "benchmark": "b", "method": "m", "scenario": "overlap", "total_seconds": 1.0}
    return RunReport(**facts, seed=seed, metrics=means, steps=(entry,) * steps, peak_rss_bytes=1)


def test_spread_is_the_sample_standard_deviation() -> None:
    found = spread([0.1, 0.2, None, 0.6])
    assert found is not None
    assert found.mean == pytest.approx(0.3)
    assert found.std == pytest.approx(((0.04 + 0.01 + 0.09) / 2) ** 0.5)
    assert shown(found) == "30.0 ± 26.5"
    assert shown(spread([0.25])) == "25.0"
    assert shown(spread([None])) == "–"


def test_summary_and_curves() -> None:
    reports = {"fmwiss": [run(0, 0.4), run(1, 0.6)], "joint": [run(0, 0.8, steps=1)]}
    table = summary(reports, "full", "C")
    assert table["fmwiss"]["all"] == Spread(pytest.approx(0.5), pytest.approx(0.02**0.5))  # type: ignore[arg-type]
    assert table["fmwiss"]["new"] is None
    assert table["fmwiss"]["forgotten"] is not None
    assert list(step_curves(reports)) == ["fmwiss"]


def test_cells_differ_in_method_seed_and_their_one_switch_only() -> None:
    grid = make_grid({"benchmark": "scenes-15-5"}, ("fmwiss", *VARIANTS, "joint"), (4,))
    plain = make_spec({"benchmark": "scenes-15-5", "seed": 4})
    by_name = {cell.name: cell.spec for cell in grid.runs()}
    assert by_name["fmwiss"] == plain
    assert by_name["joint"] == plain.model_copy(update={"method": "joint"})
    assert by_name["fmwiss-no-teacher"].fmwiss == plain.fmwiss.model_copy(update={"teacher": False})
    assert by_name["fmwiss-no-paste"].memory is None
    assert by_name["fmwiss-no-seeds"].foundation.cosegment.fusion == "scores"
    assert all(spec.step == plain.step and spec.base == plain.base for spec in by_name.values())  # equal budgets


def test_what_rounds_to_zero_has_no_sign() -> None:
    assert [str(Spread(value, None)) for value in (-0.0004, 0.0, -0.001)] == ["0.0", "0.0", "-0.1"]
    assert [percent(value) for value in (-0.0004, -0.001, None)] == ["0.0", "-0.1", "–"]
