"""Pages of the server: templates of its own, parts and style of reports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.responses import HTMLResponse

from deployments.templates import page_environment
from wilss.report.records import percent

TEMPLATES = Path(__file__).parent / "templates"
STYLES = ("style.css", "inspector.css")
"""Of reports and of the inspector; they are served from where they lie."""
ENVIRONMENT = page_environment(TEMPLATES, percent=percent, styles=STYLES)


def page(template: str, status: int = 200, headers: Mapping[str, str] | None = None, **content: Any) -> HTMLResponse:
    """A page; everything is escaped."""
    text = ENVIRONMENT.get_template(template).render(**content)
    return HTMLResponse(text.encode("utf-8", "replace"), status, {"cache-control": "no-store", **(headers or {})})
