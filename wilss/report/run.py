"""The HTML report of a run: one self-contained file."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment

from wilss.measure.tables import CONVENTIONS, scoring_title
from wilss.report.records import RunReport
from wilss.section import in_words

TEMPLATE = Path(__file__).with_name("report.html.j2")


def percent(value: float | None) -> str:
    """A share as percentage with one digit, zero without a sign; a dash for None."""
    return "–" if value is None else f"{100 * value:z.1f}"


def plain(value: float) -> float | None:
    """JSON has no NaN: it becomes None."""
    return None if math.isnan(value) else value


def render_report(
    report: RunReport, pictures: Sequence[tuple[str, bytes]], curves: str, new_classes: Sequence[str]
) -> str:
    """HTML of a report: everything is escaped, nothing is loaded from elsewhere.

    Args:
        pictures: (title, PNG bytes).
        curves: an SVG element made by `wilss.report.pictures.loss_curves`.
        new_classes: classes of the last step, shaded in the table.
    """
    environment = Environment(autoescape=True)
    encoded = [(title, base64.b64encode(data).decode()) for title, data in pictures]
    stages = [s for s in ("initial", "refined", "final") if any(s in entry.iou for entry in report.label_sets)]
    return environment.from_string(TEMPLATE.read_text()).render(
        r=report,
        pictures=encoded,
        curves=curves,
        new=set(new_classes),
        p=percent,
        stages=stages,
        conventions=CONVENTIONS,
        scored=scoring_title,
        words=in_words,
    )
