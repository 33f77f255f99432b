"""The report on a vector set: JSON, CSV and one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from wilss.escapes import csv_text
from wilss.measure.vectors import LayerMoves
from wilss.report.pages import render


def layers_csv(moves: Sequence[LayerMoves]) -> str:
    """One line for each layer."""
    columns = ("layer", "rank", "mean_abs_change", "max_up", "max_down", "most_risen", "most_fallen")
    return csv_text([columns, *(asdict(row).values() for row in moves)])


def svf_page(report: Mapping[str, Any], pictures: Sequence[tuple[str, bytes]]) -> str:
    """The page of a report.

    Args:
        report: the content of ``report.json``. pictures: (caption, PNG bytes).
    """
    return render("svf.html.j2", f"Singular values: {report['title']}", pictures, r=report)
