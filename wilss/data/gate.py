"""The one gate before any compute: what `wilss data check` tells is what a run refuses or says. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from wilss.data.findings import Finding, Severity
from wilss.errors import DataError, DataNotFoundError

if TYPE_CHECKING:
    from wilss.data.source import Source

MESSAGE = re.compile(r"(?:mask |image )?(?:'(?P<place>[^']+)' )?(?P<seen>.+?)(?:; (?P<cure>.+))?", re.DOTALL)
ORDER: tuple[Severity, ...] = ("refuse", "warn", "note")
MOST_LINES = 12
"""Kinds of findings that a run says."""
SHOWN = 2
"""Findings of a kind that a run says."""


@runtime_checkable
class Examined(Protocol):
    """A source that says all that it finds, instead of raising the first fault."""

    def findings(self) -> list[Finding]:
        """Look at every file once; what is found, in any order."""
        ...


def examine(source: Source) -> list[Finding]:
    """All that is found in a data set, the gravest first; of a source that has no ``findings``, the error it raises."""
    if isinstance(source, Examined):
        return sorted(source.findings(), key=lambda finding: ORDER.index(finding.severity))
    try:
        source.check()
    except (DataError, DataNotFoundError) as error:
        return [from_message("refuse", "check", type(source).__name__, str(error))]
    return []


def from_message(severity: Severity, kind: str, where: str, message: str) -> Finding:
    """A message as errors are written, "'PLACE' SEEN; CURE", as a finding.

    Args:
        where: place of a message that names none.
    """
    found = MESSAGE.fullmatch(message)
    if found is None:
        return Finding(severity, kind, where, message, "mend it")
    return Finding(severity, kind, found["place"] or where, found["seen"], found["cure"] or "mend it")


def require_sound(findings: Sequence[Finding]) -> None:
    """Raise DataError for the first finding that refuses; says how many there are."""
    refused = [finding for finding in findings if finding.severity == "refuse"]
    if refused:
        more = f" ({len(refused) - 1} more: wilss data check lists all)" if len(refused) > 1 else ""
        raise DataError(f"{refused[0]}{more}")


def lines_of(findings: Sequence[Finding]) -> Iterator[str]:
    """A few lines for people: the kinds of findings with their number, and the first of each."""
    kinds: dict[tuple[Severity, str], list[Finding]] = {}
    for finding in findings:
        kinds.setdefault((finding.severity, finding.kind), []).append(finding)
    for (severity, _), found in list(kinds.items())[:MOST_LINES]:
        for finding in found[:SHOWN]:
            yield f"{'warning' if severity == 'warn' else severity}: {finding}"
        if len(found) > SHOWN:
            yield f"  ... and {len(found) - SHOWN} more of this kind (wilss data check lists all)"
    if len(kinds) > MOST_LINES:
        yield f"... and {len(kinds) - MOST_LINES} more kinds (wilss data check lists all)"
