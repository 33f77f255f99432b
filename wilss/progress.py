"""How work tells how far it is. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int, float], None]
"""Called with (stage, done, all, loss); a loss of 0 is not shown."""
