"""Pages of the server: templates of its own, parts and style of reports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

import wilss.report
from wilss.report.records import percent

TEMPLATES = Path(__file__).parent / "templates"
REPORT = Path(wilss.report.__file__).parent
STYLES = ("style.css", "inspector.css")
"""Of reports and of the inspector; they are served from where they lie."""
ENVIRONMENT = Environment(
    autoescape=True,
    loader=ChoiceLoader([FileSystemLoader(TEMPLATES), FileSystemLoader(REPORT)]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.globals.update(percent=percent, styles=STYLES)


def page(template: str, status: int = 200, headers: Mapping[str, str] | None = None, **content: Any) -> HTMLResponse:
    """A page; everything is escaped."""
    text = ENVIRONMENT.get_template(template).render(**content)
    return HTMLResponse(text.encode("utf-8", "replace"), status, {"cache-control": "no-store", **(headers or {})})
