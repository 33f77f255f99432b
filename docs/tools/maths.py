"""Equations as MathML, which browsers draw by themselves: no script, no font, nothing fetched.

Pages write them as GitHub reads them: inline as $`x^2`$, in blocks as fences of the language ``math``.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor

INLINE = r"\$`([^`]+)`\$"
UNREAD = re.compile(r"\\[A-Za-z]+")


def mathml(source: str, display: str = "inline") -> str:
    """LaTeX as MathML.

    Args:
        display: "inline" or "block".

    Raises ValueError for a command that is not known, which would stand on the page as it was written.
    """
    drawn = convert(" ".join(source.split()), display=display)
    if unread := UNREAD.search(drawn):
        raise ValueError(f"'{unread[0]}' in the equation '{source.strip()}' cannot be drawn; write it otherwise")
    return str(drawn)


def block(source: str, language: str, css_class: str, options: Any, md: Markdown, **_: Any) -> str:
    """A fence of the language ``math``, one equation a paragraph, as pymdownx's superfences ask for it."""
    equations = [part for part in re.split(r"\n\s*\n", source.strip()) if part]
    return "".join(f'<div class="{css_class}">{mathml(part, "block")}</div>' for part in equations)


class _Inline(InlineProcessor):
    def handleMatch(self, m: re.Match[str], data: str) -> tuple[Element | str, int, int]:  # type: ignore[override]
        return self.md.htmlStash.store(mathml(m[1])), m.start(0), m.end(0)


class InlineMaths(Extension):
    """Markdown extension: $`x^2`$ within a line."""

    def extendMarkdown(self, md: Markdown) -> None:
        """See `markdown.extensions.Extension`; before backticks, whose priority is 190."""
        md.inlinePatterns.register(_Inline(INLINE, md), "inline-maths", 195)
