"""A page with every component of the style sheets, to look at and to test them: ``python -m tests.e2e.specimen``."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from wilss.data.palette import class_look
from wilss.report.charts import Confused, heat_map, histogram
from wilss.report.gallery import tile
from wilss.report.pages import ENVIRONMENT, style

STATES = ("accepted", "rejected", "absent", "missing", "corrected", "unreviewed", "new")
PAGE = Path(__file__).with_suffix(".html.j2")


def specimen() -> str:
    """HTML of the page."""
    content = {
        "style": style("style.css", "charts.css", "inspector.css"),
        "states": STATES,
        "looks": [class_look(k, f"class {k}") for k in range(1, 82)],
        "bars": histogram("Rows by score", [0, 0.25, 0.5, 0.75, 1], [3, 8, 0, 20], "score", ["#a", "#b", "#c", "#d"]),
        "matrix": heat_map(Confused(("background", "cat", "dog"), ((90, 5, 5), (20, 70, 10), (0, 40, 60)))),
        "picture": tile("", Image.new("RGB", (96, 96), "grey")).address,
    }
    return ENVIRONMENT.from_string(PAGE.read_text()).render(**content)


if __name__ == "__main__":
    sys.stdout.write(specimen())
