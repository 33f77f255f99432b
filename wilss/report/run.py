"""The HTML report of a run."""

from __future__ import annotations

from collections.abc import Sequence

from wilss.measure.tables import CONVENTIONS, scoring_title
from wilss.report.pages import render
from wilss.report.records import RunReport


def run_page(report: RunReport, pictures: Sequence[tuple[str, bytes]], curves: str, new_classes: Sequence[str]) -> str:
    """The page of a run.

    Args:
        pictures: (caption, PNG bytes).
        curves: an SVG element made by `wilss.report.pictures.loss_curves`.
        new_classes: classes of the last step, shaded in the table.
    """
    stages = [s for s in ("initial", "refined", "final") if any(s in entry.iou for entry in report.label_sets)]
    return render(
        "run.html.j2",
        f"{report.benchmark}: {report.method}",
        pictures,
        facts=report,
        curves=curves,
        new=set(new_classes),
        stages=stages,
        conventions=CONVENTIONS,
        scored=scoring_title,
    )
