"""The HTML report of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wilss.measure.tables import CONVENTIONS, scoring_title
from wilss.report.charts import Confused, LineChart, heat_map, line_chart
from wilss.report.gallery import Gallery
from wilss.report.pages import render
from wilss.report.records import RunReport, Share

History = Sequence[Mapping[str, float]]
"""Mean losses of every epoch."""


@dataclass(frozen=True)
class Drawn:
    """What a run's page shows that its record does not hold.

    labels: of the last step. histories: by training. confused: after the last step.
    """

    labels: Gallery | None
    predictions: Gallery
    histories: Mapping[str, History]
    confused: Confused | None = None


def run_page(report: RunReport, drawn: Drawn, new_classes: Sequence[str]) -> str:
    """The page of a run.

    Args:
        new_classes: classes of the last step, marked in the table.
    """
    return render("run.html.j2", run_title(report), "run", **run_content(report, drawn, new_classes))


def run_title(report: RunReport) -> str:
    """What a run's page is called."""
    return f"{report.benchmark}: {report.method}"


def run_content(report: RunReport, drawn: Drawn, new_classes: Sequence[str]) -> dict[str, Any]:
    """What ``run.html.j2`` names; see `run_page`."""
    stages = [s for s in ("initial", "refined", "final") if any(s in entry.iou for entry in report.label_sets)]
    return {
        "facts": report,
        "drawn": drawn,
        "confused": drawn.confused,
        "matrix": heat_map(drawn.confused) if drawn.confused else None,
        "charts": loss_charts(drawn.histories),
        "steps_chart": _steps_chart(report),
        "taught": _when_taught(report),
        "new": set(new_classes),
        "stages": stages,
        "stage_columns": [f"IoU {name}" for name in stages],
        "groups": [f"step {number}'s" for number in range(len(report.steps[-1].tables["full"].groups))],
        "longest": max([*report.stage_seconds.values(), 1e-9]),
        "conventions": CONVENTIONS,
        "scored": scoring_title,
    }


def loss_charts(histories: Mapping[str, History]) -> list[LineChart]:
    """Loss terms over epochs, one chart a training that has any."""
    return [_loss_chart(title, history) for title, history in histories.items() if history]


def _loss_chart(title: str, history: History) -> LineChart:
    names = dict.fromkeys(name for epoch in history for name in epoch)
    series = {
        name: [(float(i), epoch[name]) for i, epoch in enumerate(history, start=1) if name in epoch] for name in names
    }
    return line_chart(title, series, "epoch", "logarithmic", log=True)


def _steps_chart(report: RunReport) -> LineChart | None:
    """Means over the steps; none for a single one."""
    if len(report.steps) < 2:
        return None
    series = {
        key: [(float(s.step), 100 * value) for s in report.steps if (value := getattr(s.metrics, key)) is not None]
        for key in ("old", "new", "all")
    }
    return line_chart("After every step", series, "step", "mIoU, %", limits=(0, 100))


def _when_taught(report: RunReport) -> dict[str, tuple[int, Share]]:
    """Class -> the step that taught it, and its IoU then."""
    found: dict[str, tuple[int, Share]] = {}
    for step in report.steps:
        for name, value in step.per_class_iou.items():
            found.setdefault(name, (step.step, value))
    return found
