"""The process that makes pictures, and the handle by which the server holds it. Only the process imports torch.

They talk over one socket, one request at a time: (want, begun) there, (answer, ...) back. The process ends when the
socket does, however the server ended.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from typing import Any

from deployments.inspector.wants import JOBS, Problem, Want, problem_of
from wilss.errors import WilssError
from wilss.outputs import disk_problem
from wilss.settings import Settings

DONE, MORE, REFUSED = "done", "more", "refused"
CODE = "import sys; from deployments.inspector.worker import serve; serve(int(sys.argv[1]))"
OFFLINE = {"HF_HUB_OFFLINE": "1"}
"""Nobody is asked outside of this machine: weights that are not here are a sentence at once, not after a minute."""
NICE = 5
"""The server goes before its pictures."""


class WorkerEndedError(Exception):
    """The process ended before it answered; the message says how."""


class Worker:
    """One process that makes pictures; it is started by the first request, and again after it ended."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None
        self._is_over = False

    @property
    def pid(self) -> int | None:
        """Of the process, None while there is none."""
        return self._process.pid if self._process else None

    def ask(self, want: Want, begun: bool = False) -> tuple[Any, ...]:
        """(DONE, path), (MORE, done, total) for a job that goes on, or (REFUSED, kind, reason).

        Args:
            begun: a job that has answered MORE before; it is begun anew by a process that does not know it.

        Raises WorkerEndedError.
        """
        if self._process is not None and self._process.poll() is not None:  # it ended while nobody waited
            self.close()
        try:
            if self._line is None:
                self._start()
            if self._is_over:  # `end` may have looked before there was a process
                self.end()
            assert self._line is not None
            self._line.send((want, begun))
            return tuple(self._line.recv())
        except (EOFError, OSError) as error:
            if self._process is None:
                raise WorkerEndedError(f"the process that makes pictures cannot be started ({error})") from error
            raise WorkerEndedError(self._said_when_ended()) from error

    def end(self) -> None:
        """End the process for good, whatever it is at; for another thread than the one that asks."""
        self._is_over = True
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        """End the process."""
        line, process, self._line, self._process = self._line, self._process, None, None
        if line is not None:
            line.close()
        if process is not None:
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self) -> None:
        mine, theirs = socket.socketpair()
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **OFFLINE}
        command = [sys.executable, "-c", CODE, str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                command, env=env, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
            )
        self._line = Connection(mine.detach())
        self._line.send(self.settings.model_dump_json())

    def _said_when_ended(self) -> str:
        process = self._process
        self.close()
        code = process.returncode if process else 0
        if code is not None and code < 0:
            memory = "; memory may have run out" if -code == signal.SIGKILL else ""
            return f"the process that makes pictures was ended by the system (signal {-code}{memory})"
        return "the process that makes pictures ended; the terminal of 'wilss inspect' says why"


def serve(handle: int) -> None:
    """Answer requests until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICE)
    line = Connection(handle)
    clerk: _Clerk | None = None
    while (asked := _received(line)) is not None:
        if clerk is None:
            clerk = _Clerk(Settings.model_validate_json(asked))
        elif not _sent(line, clerk.answer(*asked)):
            break
    os._exit(0)  # torch takes seconds to be taken down, and every file is whole


def _received(line: Connection) -> Any:
    """What comes next; None when the server is gone."""
    try:
        return line.recv()
    except (EOFError, OSError):
        return None


def _sent(line: Connection, answer: tuple[Any, ...]) -> bool:
    """Whether there was somebody to send it to."""
    try:
        line.send(answer)
    except OSError:
        return False
    return True


class _Clerk:
    """Opens the maker with the first request, so that what is wrong with the machine is an answer too."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._maker: Any = None
        self._jobs: dict[Want, Any] = {}

    def answer(self, want: Want, begun: bool) -> tuple[Any, ...]:
        from wilss.device import memory_advice

        try:
            return self._made(want, begun)
        except (WilssError, OSError, MemoryError, RuntimeError) as error:
            problem = _told(error, memory_advice)
            if problem is None:
                raise
            self._jobs.pop(want, None)
            return REFUSED, problem.kind, problem.reason

    def _made(self, want: Want, begun: bool) -> tuple[Any, ...]:
        maker = self._opened()
        if want.kind not in JOBS:
            return DONE, str(maker.make(want))
        if not begun or want not in self._jobs:
            self._jobs[want] = maker.job(want)
        for done, total in self._jobs[want]:
            return MORE, done, total
        del self._jobs[want]
        return DONE, str(maker.opened(want.digest).places.candidates(want)[0])

    def _opened(self) -> Any:
        if self._maker is None:
            import torch

            from deployments.inspector.making import Maker
            from flows.machine import with_registrations

            torch.set_num_threads(max(1, min(4, (os.cpu_count() or 2) - 1)))
            self._maker = Maker(with_registrations(self.settings))
        return self._maker


def _told(error: Exception, memory_advice: Any) -> Problem | None:
    """What to say of an error; None for one that nobody foresaw."""
    if isinstance(error, WilssError):
        return problem_of(error)
    if isinstance(error, MemoryError):
        return Problem("there is not enough memory for this picture; end other programs, then load the page again")
    said = memory_advice(error) if isinstance(error, RuntimeError) else disk_problem(error)
    return Problem(said) if said else None
