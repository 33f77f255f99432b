"""Pages of the inspector: templates of its own, and the parts and the style of static reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse

from deployments.templates import page_environment
from wilss.report.records import percent
from wilss.section import in_words

TEMPLATES = Path(__file__).parent / "templates"


def in_path(text: str) -> str:
    """A text as one part of an address; ids of files may hold bytes that are no UTF-8."""
    return quote(text.encode("utf-8", "surrogateescape"), safe="")


def short(digest: str) -> str:
    """The first digits of a digest."""
    return digest[:12]


def number(value: float | None) -> str:
    """A number with two digits, a dash where it is unknown."""
    return "–" if value is None or value != value else f"{value:.2f}"


ENVIRONMENT = page_environment(TEMPLATES, p=percent, words=in_words, short=short, number=number, in_path=in_path)


def page(request: Request, template: str, title: str, status: int = 200, **content: Any) -> HTMLResponse:
    """A page; everything is escaped."""
    desk = request.app.state.desk
    frame = {"title": title, "token": desk.access.token, "who": desk.who, "at": request.url.path}
    text = ENVIRONMENT.get_template(template).render(**frame, **content)
    return HTMLResponse(text.encode("utf-8", "replace"), status, headers={"cache-control": "no-store"})
