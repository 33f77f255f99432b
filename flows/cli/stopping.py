"""Ctrl-C and SIGTERM: a command ends within seconds, whatever it is doing, in one sentence."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import NoReturn

GRACE = 5.0
"""Seconds in which a stopped command may tidy up and Prefect may note the end; then the process just ends."""
STOPPED = "wilss: stopped; the same command goes on where it stopped"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM; a plain KeyboardInterrupt inside a text that is compiled makes Python end itself by SIGINT."""


class Detached(SystemExit):
    """The end of a command that watched something, which goes on without it; the command has said so."""


def hear_signals() -> Stopping:
    """Hear SIGINT and SIGTERM from now on; what is ignored, as for a command in the background, stays ignored."""
    return Stopping()


class Stopping:
    """Around a command: whatever comes out of it after a signal ends in `STOPPED` and exit code 128 + signal.

    The signals are seen by a thread too, through a pipe that the interpreter's own C handler writes to: the main thread
    may be deep in native code, or in the hands of a library that catches interrupts.
    """

    def __init__(self) -> None:
        self._seen = 0
        self._told = threading.Lock()
        self._read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._interrupt)
        threading.Thread(target=self._watch, daemon=True).start()

    def __enter__(self) -> Stopping:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):  # all is done: what comes now need not be heard in good order
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _end_now)
        if self._seen and error is not None and not _is_success(error):
            self._tell()
            sys.exit(128 + self._seen)

    def _interrupt(self, number: int, frame: FrameType | None) -> NoReturn:
        self._seen = number  # libraries may make another error of the interrupt
        raise Interrupted

    def _watch(self) -> None:
        self._seen = self._next_signal(None)
        second = self._next_signal(GRACE)
        self._tell()
        _end_now(second or self._seen, None)

    def _next_signal(self, seconds: float | None) -> int:
        """The next of the two signals, 0 when none comes in time."""
        while select.select([self._read], [], [], seconds)[0]:
            number = os.read(self._read, 1)[0]
            heard = signal.getsignal(number) is not signal.SIG_IGN
            if number in (signal.SIGINT, signal.SIGTERM) and heard:
                return number
        return 0

    def _tell(self) -> None:
        if self._told.acquire(blocking=False):
            print(STOPPED, file=sys.stderr, flush=True)


def _end_now(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(128 + number)


def _is_success(error: BaseException | None) -> bool:
    return isinstance(error, Detached) or (isinstance(error, SystemExit) and not error.code)
