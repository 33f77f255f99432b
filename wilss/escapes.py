"""Names from others in what people see: no text of a file or class moves a terminal or becomes a formula."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable

JOINERS = "\u200c\u200d"
"""Of Persian, Hindi and of emoji: format characters that names rightly have."""
FORMULA = ("=", "+", "-", "@", "\t")
"""What a spreadsheet takes the beginning of a formula for."""


def harmless(text: str) -> str:
    r"""Text for a terminal: control characters, and those that turn the direction of writing, as ``\x1b``."""
    return "".join(c if _is_shown(c) else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV. Texts are `harmless`; one that a spreadsheet would take for a formula has a ``'`` before it."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    return f"'{harmless(value)}" if value.startswith(FORMULA) else harmless(value)


def _is_shown(character: str) -> bool:
    spaces = character in "\n\t" or unicodedata.category(character) == "Zs"
    return character.isprintable() or spaces or character in JOINERS
