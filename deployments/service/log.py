"""What the service says of itself: a line a thing, on the screen and in a file."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from wilss.escapes import harmless


class ServiceLog:
    """A log file whose lines begin with the local time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._once: set[str] = set()

    def say(self, text: str) -> None:
        """One line."""
        line = f"{datetime.now().astimezone().isoformat(timespec='seconds')} {harmless(text)}"
        print(line, flush=True)
        with suppress(OSError), self.path.open("a") as log:  # a full disk ends no service
            log.write(f"{line}\n")

    def say_once(self, text: str) -> None:
        """The same, unless it was said already."""
        if text not in self._once:
            self._once.add(text)
            self.say(text)

    def forget(self, text: str) -> None:
        """Let it be said again."""
        self._once.discard(text)
