"""A child process of the service: its log, its restarts, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOG_BYTES = 10 << 20
"""A log that is larger when its process starts, or when it is looked at, becomes the one before; two are kept."""
DAMAGED = "its database is damaged: move 'prefect.db' away, it holds the history of runs and nothing else"
KNOWN = {
    "Can't locate revision": "its database was written by a newer Prefect: upgrade Prefect, or take another database",
    "Connect call failed": "its database does not answer: start it, or name another with --database",
    "password authentication failed": "its database refuses the password: name another with --database",
    "file is not a database": DAMAGED,
    "disk image is malformed": DAMAGED,
    "database or disk is full": "the disk is full: make room",
    "No space left on device": "the disk is full: make room",
}
"""What stands in the log of a child that ended for a known reason, and how that is said."""
RESTARTS, SOON = 5, 30.0
"""How often in a row a child may end by itself within so many seconds of its start before it is given up."""


@dataclass
class Child:
    """A module that runs under the leash.

    name: also of its log. module, arguments: what runs. env: all of its environment. cwd: where. number: of an open
    socket that it inherits.
    """

    name: str
    module: str
    arguments: Sequence[str]
    env: Mapping[str, str]
    log: Path
    cwd: Path
    number: int | None = None
    started: float = 0.0
    process: subprocess.Popen[bytes] | None = None
    _begins: int = 0
    _begun: float = 0.0
    _in_a_row: int = 0

    @property
    def pid(self) -> int:
        """Its process id; 0 before it is started."""
        return self.process.pid if self.process else 0

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self.process.poll() if self.process else None

    def start(self) -> None:
        """Start it, in a session of its own: a Ctrl-C in the terminal is for the supervisor."""
        bound_log(self.log)
        self._begins = self.log.stat().st_size if self.log.is_file() else 0
        words = [sys.executable, "-P", "-m", "deployments.service.leash", self.module, *self.arguments]
        with self.log.open("ab") as log:
            self.started, self._begun = time.time(), time.monotonic()
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.cwd,
                env=dict(self.env),
                pass_fds=() if self.number is None else (self.number,),
                start_new_session=True,
            )

    def may_start_again(self) -> bool:
        """Note that it has ended; whether to start another: what worked for a while was killed from outside."""
        soon = time.monotonic() - self._begun < SOON
        self._in_a_row = self._in_a_row + 1 if soon else 0
        return self._in_a_row < RESTARTS

    def ask_to_end(self) -> None:
        """Send SIGTERM to it alone."""
        if self.process is not None:
            self.process.terminate()

    def end(self, seconds: float) -> None:
        """Wait for its end; after so many seconds it is killed."""
        if self.process is None:
            return
        try:
            self.process.wait(max(seconds, 0.01))
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # with the processes that it started
            self.process.wait()

    def tail(self, lines: int = 3) -> str:
        """The last lines of its log since it was started, as one."""
        try:
            with self.log.open("rb") as log:
                end = log.seek(0, os.SEEK_END)
                log.seek(max(self._begins if self._begins <= end else 0, end - 8192))
                found = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        except OSError:
            return ""
        return " / ".join(found[-lines:])


def bound_log(log: Path) -> None:
    """Keep a log and the one before it small; who writes to it has it open for appending, so it is emptied in place."""
    if log.is_file() and log.stat().st_size > LOG_BYTES:
        log.with_name(f"{log.name}.1").write_bytes(log.read_bytes()[-LOG_BYTES:])
        os.truncate(log, 0)


def end_all(children: Sequence[Child], seconds: float) -> None:
    """Ask children to end, and kill those that have not after so many seconds."""
    for child in children:
        child.ask_to_end()
    deadline = time.monotonic() + seconds
    for child in children:
        child.end(deadline - time.monotonic())


def why(child: Child) -> str:
    """Why a child has ended, in words."""
    if child.code is not None and child.code < 0:
        return f"signal {-child.code}"
    last = child.tail(60)
    for sign, said in KNOWN.items():
        if sign in last:
            return said
    return f"exit code {child.code}" + (f": {child.tail()[-300:]}" if last else "")
