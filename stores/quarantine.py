"""Where what is damaged or in the way goes: nothing is deleted, and nothing finds it there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from wilss.layout import QUARANTINE


def place_in_quarantine(root: Path, kind: str, name: str, suffix: str = "") -> Path:
    """A path that nothing has yet, in a folder that is there."""
    made = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    place = root / QUARANTINE / kind / f"{name}-{made}{suffix}"
    place.parent.mkdir(parents=True, exist_ok=True)
    return place
