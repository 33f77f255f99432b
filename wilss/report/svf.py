"""The report on a vector set: JSON, CSV and one self-contained HTML page."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment

from wilss.measure.vectors import LayerMoves
from wilss.report.run import percent

TEMPLATE = Path(__file__).with_name("svf.html.j2")


def layers_csv(moves: Sequence[LayerMoves]) -> str:
    """One line for each layer."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["layer", "rank", "mean_abs_change", "max_up", "max_down", "most_risen", "most_fallen"])
    writer.writerows(asdict(row).values() for row in moves)
    return buffer.getvalue()


def svf_html(report: Mapping[str, Any], pictures: Sequence[tuple[str, bytes]]) -> str:
    """HTML of a report; everything is escaped, nothing is loaded from elsewhere.

    Args:
        report: the content of ``report.json``. pictures: (title, PNG bytes).
    """
    encoded = [(title, base64.b64encode(data).decode()) for title, data in pictures]
    template = Environment(autoescape=True).from_string(TEMPLATE.read_text())
    return template.render(r=report, pictures=encoded, p=percent)
