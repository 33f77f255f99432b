"""What the gate before the data finds: one sentence a finding, and how to mend it. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["refuse", "warn", "note"]
"""Nothing is computed; computed and said; said."""


@dataclass(frozen=True)
class Finding:
    """One thing that was seen in data.

    kind: short name of the rule, such as "palette-differs"; findings of one kind are counted together. where: file, or
    folder, relative to the data where it lies in them. seen: what is wrong, with the value. cure: what to do next.
    """

    severity: Severity
    kind: str
    where: str
    seen: str
    cure: str

    def __str__(self) -> str:
        """One sentence, as errors say it."""
        return f"'{self.where}' {self.seen}; {self.cure}"


def plain(text: str) -> str:
    """A text of others as it may be printed: what controls a terminal, or is no character, is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
