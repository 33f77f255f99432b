"""Names from others move no terminal, and make no formula."""

from __future__ import annotations

import csv
import io

import pytest

from wilss.escapes import csv_text, harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat\x1b[2J\x07", r"cat\x1b[2J\x07"),
        ("a\rb\x9bm", r"a\rb\x9bm"),
        ("\u202egpj.cod", r"\u202egpj.cod"),
        ("lost\udcff", r"lost\udcff"),
        ("zwei Wörter\u00a0猫 \U0001f408 می\u200cخواهم", "zwei Wörter\u00a0猫 \U0001f408 می\u200cخواهم"),
        ("two\n\tlines", "two\n\tlines"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_no_cell_is_a_formula_and_numbers_stay_numbers() -> None:
    names = ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\t=1", "cat", "a=b", ""]
    rows = list(csv.reader(io.StringIO(csv_text([[name] for name in names] + [[-0.25, None, 3]]), newline="")))
    assert [row[0] if row else "" for row in rows[:8]] == [f"'{n}" if n[:1] in set("=+-@\t") else n for n in names]
    assert csv_text([["a\r=1"]]) == "a\\r=1\n"
    assert rows[-1] == ["-0.25", "", "3"]
