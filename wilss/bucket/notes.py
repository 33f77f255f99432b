"""Small notes of a working root: names and short values in one JSON file, which may go at any time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wilss.outputs import whole_file


class Notes:
    """One file of notes. What cannot be read is taken for empty: it only says what need not be asked again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, dict[str, Any]] = (0, -1, {})

    def read(self) -> dict[str, Any]:
        """Name -> value."""
        try:
            facts = self.path.stat()
            if (facts.st_mtime_ns, facts.st_ino) != self._seen[:2]:
                content = json.loads(self.path.read_bytes())
                self._seen = facts.st_mtime_ns, facts.st_ino, content if isinstance(content, dict) else {}
        except (OSError, ValueError):
            return {}
        return self._seen[2]

    def note(self, changes: Mapping[str, Any]) -> None:
        """Change some; None takes one away. Who writes must be alone."""
        notes = dict(self.read())
        for name, value in changes.items():
            if value is None:
                notes.pop(name, None)
            else:
                notes[name] = value
        if notes != self.read():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self.path, shared=True) as partial:
                partial.write_text(json.dumps(notes), encoding="utf-8")
