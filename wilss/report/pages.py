"""The frame of every page: one self-contained HTML file with its style, its pictures and what it was made with."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from wilss.report.records import percent
from wilss.section import in_words

FOLDER = Path(__file__).parent
STYLES = ("style.css", "charts.css")
"""Of every page; the inspector adds ``inspector.css``."""
ENVIRONMENT = Environment(autoescape=True, loader=FileSystemLoader(FOLDER), trim_blocks=True)
ENVIRONMENT.globals.update(p=percent, words=in_words)


@cache
def style(*names: str) -> Markup:
    """Style sheets that lie beside this file, one after the other."""
    return Markup("".join((FOLDER / name).read_text(encoding="utf-8") for name in names))


def plain_style(name: str) -> Markup:
    """A style sheet with the light colours in place of its variables, for programs that know of no variables."""
    return Markup(re.sub(r"var\(--[\w-]+, ([^)]+)\)", r"\1", style(name)))


def render(template: str, title: str, kind: str = "", **content: Any) -> str:
    """HTML of a page; everything is escaped, nothing is loaded from elsewhere.

    Args:
        template: its file beside this one, which extends ``page.html.j2``.
        kind: what the page is, in a word or two.
        content: what the template names; as ``facts`` the record whose settings, command and versions are told.
    """
    given = {"style": style(*STYLES), "outline": [], "kind": kind, **content}
    return ENVIRONMENT.get_template(template).render(title=title, **given)
