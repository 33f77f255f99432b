"""The frame of every page: one self-contained HTML file with its style, its pictures and what it was made with."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from wilss.report.records import percent
from wilss.section import in_words

ENVIRONMENT = Environment(autoescape=True, loader=FileSystemLoader(Path(__file__).parent))
ENVIRONMENT.globals.update(p=percent, words=in_words)


def render(template: str, title: str, pictures: Sequence[tuple[str, bytes]], **content: Any) -> str:
    """HTML of a page; everything is escaped, nothing is loaded from elsewhere.

    Args:
        template: its file beside this one, which extends ``page.html.j2``.
        pictures: (caption, PNG bytes).
        content: what the template names; as ``facts`` the record whose settings, command and versions are told.
    """
    encoded = [(caption, base64.b64encode(data).decode()) for caption, data in pictures]
    return ENVIRONMENT.get_template(template).render(title=title, pictures=encoded, **content)
