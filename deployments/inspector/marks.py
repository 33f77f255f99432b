"""What tells a file from another one that took its place."""

from __future__ import annotations

from pathlib import Path

Mark = tuple[int, int, int]
"""Time of change, inode and size; zeros for a file that is not there."""


def mark_of(path: Path) -> Mark:
    """The mark of a file. Who reads the file says what is wrong with it."""
    try:
        facts = path.stat()
    except OSError:
        return 0, 0, 0
    return facts.st_mtime_ns, facts.st_ino, facts.st_size
