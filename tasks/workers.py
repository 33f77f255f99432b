"""Tasks on Dask's workers: the run that a worker has open, and what it tells of its work.

Dask is imported where a worker is, or is asked for: it is an extra.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stores.progress import listening
from wilss.errors import RunnerError

if TYPE_CHECKING:
    from distributed import Worker

    from stores.plans.run import Run

CONNECT_SECONDS = 5.0
TOPIC = "wilss"
"""Of what workers tell. One for all runs: a scheduler keeps what was told of each topic as long as it lives."""


@dataclass(frozen=True)
class RunElsewhere:
    """A run that a worker has open.

    name: of the plugin that holds it. whose: tells it from the others of its flow, ""
    for the only one. part: number of the part that the task is.
    """

    name: str
    whose: str = ""
    part: int = 0


@contextmanager
def opened(run: Run | RunElsewhere) -> Iterator[Run]:
    """The run itself; on a worker its own one, opened once, and what is said within reaches who asked for the task."""
    if not isinstance(run, RunElsewhere):
        yield run
        return
    from distributed import get_worker

    worker = get_worker()
    if (plugin := worker.plugins.get(run.name)) is None:
        raise RunnerError("the stage ended, well or not, while this part was on its way; nothing is left to do")
    with listening(_Reporter(worker, run)):
        yield plugin.run


def require_same(run: Run | RunElsewhere, what: str, digest: str, expected: str) -> None:
    """Raise RunnerError where a worker makes something else of a specification than who sent it."""
    if digest != expected:
        where = here() if isinstance(run, RunElsewhere) else "this process"
        raise RunnerError(
            f"{where} has other data, weights or files of your own: its {what} would be {digest[:12]}, not "
            f"{expected[:12]}; let every machine see the same folders"
        )


def here() -> str:
    """What the worker of the running task is called, for people."""
    from distributed import get_worker

    return f"the worker {get_worker().address}"


def problem_reaching(host: str, port: int) -> str:
    """What keeps this process from connecting to an address, in words; "" for nothing."""
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:
        return str(error) or type(error).__name__
    return ""


class _Reporter:
    """Hands what a task says on to who listens to the topic. See `stores.progress.Listener`."""

    alone, shows, started_by = True, True, ""

    def __init__(self, worker: Worker, run: RunElsewhere) -> None:
        self._worker, self._run = worker, run

    def said(self, text: str) -> None:
        self._tell({"said": text})

    def moved(self, title: str, stage: str, done: int, total: int, loss: float) -> None:
        self._tell({"part": self._run.part, "done": done})

    def _tell(self, told: dict[str, str | int]) -> None:
        self._worker.log_event(TOPIC, {"run": self._run.name, **told})
