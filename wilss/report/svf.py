"""The report on a vector set: JSON, CSV and one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from wilss.escapes import csv_text
from wilss.measure.vectors import LayerMoves
from wilss.report.gallery import Gallery
from wilss.report.pages import render


def layers_csv(moves: Sequence[LayerMoves]) -> str:
    """One line for each layer."""
    columns = ("layer", "rank", "mean_abs_change", "max_up", "max_down", "most_risen", "most_fallen")
    return csv_text([columns, *(asdict(row).values() for row in moves)])


def svf_page(report: Mapping[str, Any], galleries: Mapping[str, Gallery]) -> str:
    """The page of a report.

    Args:
        report: the content of ``report.json``. galleries: of what has risen and fallen, by that word.
    """
    largest = max((layer["mean"] for layer in report["layers"]), default=0.0) or 1.0
    title = f"Singular values: {report['title']}"
    return render("svf.html.j2", title, "singular values", r=report, galleries=galleries, largest=largest)
