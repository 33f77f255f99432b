"""Tables and plots over methods and seeds, from the reports of their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from wilss.escapes import csv_text
from wilss.measure.tables import CONVENTIONS, scoring_title
from wilss.report.charts import LineChart, line_chart
from wilss.report.gallery import Gallery
from wilss.report.pages import ENVIRONMENT, plain_style, render
from wilss.report.records import ComparisonReport, Means, RunReport, Table, percent

KEYS = ("old", "new", "all")
ROW, GROUP_GAP = 18, 8
"""Pixels of a bar with its gap in ``plot.svg``, and between old, new and all."""
Reports = Mapping[str, Sequence[RunReport]]
"""Method or variant name -> the reports of its seeds."""


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over seeds; std is None for one seed."""

    mean: float
    std: float | None

    def __str__(self) -> str:
        """In percent; what rounds to zero has no sign."""
        spread = "" if self.std is None else f" ± {100 * self.std:.1f}"
        return percent(self.mean) + spread


def spread(values: Sequence[float | None]) -> Spread | None:
    """Mean and standard deviation of the values that exist; None without any."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(fmean(known), stdev(known) if len(known) > 1 else None)


def last_means(report: RunReport, scoring: str, convention: str) -> Means:
    """Old, new and all of a run's last step."""
    return report.steps[-1].tables[scoring].conventions[convention]


def summary(reports: Reports, scoring: str, convention: str) -> dict[str, dict[str, Spread | None]]:
    """Method -> old, new, all, forgotten, over its seeds; each from the last step."""
    table = {}
    for name, runs in reports.items():
        means = [last_means(run, scoring, convention) for run in runs]
        row = {key: spread([getattr(m, key) for m in means]) for key in KEYS}
        row["forgotten"] = spread([run.steps[-1].forgetting for run in runs]) if scoring == "full" else None
        table[name] = row
    return table


def tables(reports: Reports, crop: int | None) -> list[Table]:
    """Convention C on full-size images first, then the others, then curves and groups of many-step benchmarks.

    Args:
        crop: side of the centre crops, for titles.
    """
    first = next(iter(reports.values()))[0]
    found = []
    for scoring in first.steps[-1].tables:
        for convention in ("C", "A", "B"):
            title = f"Convention {convention}, {scoring_title(scoring, crop)}: {CONVENTIONS[convention]}"
            columns = (*KEYS, "forgotten") if scoring == "full" and convention == "C" else KEYS
            rows = summary(reports, scoring, convention).items()
            cells = tuple((name, tuple(shown(row[c]) for c in columns)) for name, row in rows)
            found.append(Table(key=f"{scoring}-{convention}", title=title, columns=columns, rows=cells))
    return [*found, *_many_step_tables(reports)]


def _many_step_tables(reports: Reports) -> list[Table]:
    """After every step: all classes seen so far; and in the end: the classes of every step."""
    longest = max(len(run.steps) for runs in reports.values() for run in runs)
    if longest <= 2:
        return []
    steps = tuple(f"after {t}" for t in range(longest))
    curves = tuple((name, tuple(shown(v) for v in curve)) for name, curve in step_curves(reports).items())
    groups = []
    for name, runs in reports.items():
        last = [run.steps[-1].tables["full"].groups for run in runs]
        groups.append((name, tuple(shown(spread(values)) for values in zip(*last, strict=True))))
    return [
        Table(
            key="steps",
            title="After every step: all classes seen so far in convention C, full-size images",
            columns=steps,
            rows=curves,
        ),
        Table(
            key="groups",
            title="Classes of each step: without background, after the last step, full-size images",
            columns=tuple(f"step {t}'s" for t in range(longest)),
            rows=tuple(groups),
        ),
    ]


def markdown(title: str, tables: Sequence[Table]) -> str:
    """The tables as Markdown; mean ± sample standard deviation, mIoU in percent."""
    lines = [f"# {title}", "", "Mean ± sample standard deviation over seeds, mIoU in %.", ""]
    for table in tables:
        lines += [table.title, "", f"| method | {' | '.join(table.columns)} |", "|---|" + "---:|" * len(table.columns)]
        lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in table.rows]
        lines.append("")
    return "\n".join(lines)


def comparison_page(title: str, report: ComparisonReport, reports: Reports, pictures: Gallery) -> str:
    """The page of a comparison.

    Args:
        reports: of its runs, for the charts. pictures: what the methods make of the same images.
    """
    return render("compare.html.j2", title, "comparison", **comparison_content(report, reports, pictures))


def comparison_content(report: ComparisonReport, reports: Reports, pictures: Gallery) -> dict[str, Any]:
    """What ``compare.html.j2`` names; see `comparison_page`."""
    drawn = {"bars": bars(reports), "curve": curve_chart(reports), "pictures": pictures}
    return {"facts": report, "shown": shown, **drawn}


def step_curves(reports: Reports) -> dict[str, list[Spread | None]]:
    """Method -> mean over all seen classes (convention C) after every step; methods of a single step are left out."""
    curves = {}
    for name, runs in reports.items():
        n_steps = len(runs[0].steps)
        if n_steps > 1:
            curves[name] = [spread([run.steps[t].metrics.all for run in runs]) for t in range(n_steps)]
    return curves


def shown(value: Spread | None) -> str:
    """Percent, or a dash."""
    return percent(None) if value is None else str(value)


def csv_rows(reports: Reports) -> str:
    """One line for each method, seed, step, way of scoring and convention; IoU in [0, 1]."""
    rows: list[list[object]] = [["method", "seed", "step", "scoring", "convention", *KEYS, "forgetting"]]
    for name, runs in reports.items():
        for run in runs:
            for step in run.steps:
                for scoring, table in step.tables.items():
                    for convention, means in table.conventions.items():
                        values = [getattr(means, key) for key in KEYS]
                        forgetting = step.forgetting if scoring == "full" else None
                        rows.append([name, run.seed, step.step, scoring, convention, *values, forgetting])
    return csv_text(rows)


def csv_classes(reports: Reports) -> str:
    """One line for each method, seed and class: IoU in [0, 1] after the last step, full-size images."""
    rows: list[list[object]] = [["method", "seed", "class", "iou"]]
    for name, runs in reports.items():
        for run in runs:
            for class_name, value in run.per_class_iou.items():
                rows.append([name, run.seed, class_name, value])
    return csv_text(rows)


def plot(title: str, reports: Reports) -> str:
    """Bars of old, new and all with the spread over seeds, and for many steps their curve; an SVG file."""
    rows = [(key, name, value) for key, values in bars(reports).items() for name, value in values]
    curve = curve_chart(reports)
    height = max(len(rows) * ROW + len(KEYS) * GROUP_GAP + 60, curve.height + 50 + ROW * len(reports) if curve else 0)
    drawn = {"rows": rows, "curve": curve, "row": ROW, "gap": GROUP_GAP, "shown": shown, "height": height}
    content = {"style": plain_style("charts.css"), "title": f"{title}: after the last step", **drawn}
    return ENVIRONMENT.get_template("plot.svg.j2").render(width=920 if curve else 500, **content)


def bars(reports: Reports) -> dict[str, list[tuple[str, Spread | None]]]:
    """Old, new and all of every method in convention C on full-size images."""
    table = summary(reports, "full", "C")
    return {key: [(name, row[key]) for name, row in table.items()] for key in KEYS}


def curve_chart(reports: Reports) -> LineChart | None:
    """All classes seen so far after every step; none where no method has more than two."""
    curves = step_curves(reports)
    if not any(len(curve) > 2 for curve in curves.values()):
        return None
    series = {  # a method of a single step has no line, but keeps its colour
        name: [(float(t), 100 * value.mean) for t, value in enumerate(curves.get(name, [])) if value]
        for name in reports
    }
    return line_chart("All classes seen so far", series, "step", "mIoU, %", limits=(0, 100))
