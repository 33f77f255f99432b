"""What a flow tells Prefect of itself: the name of its run, its log, progress, tables, and who started it.

None of it may break a run whose server is slow or gone. What is told goes through a thread of its own, and what cannot
be told is left out.
"""

from __future__ import annotations

import functools
import getpass
import inspect
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import ParamSpec, TypeVar
from uuid import UUID

from httpx import HTTPError
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import MissingContextError, PrefectException
from prefect.logging import get_run_logger
from pydantic import ValidationError

from stores.plans.fewshot_run import FewShotRun
from stores.plans.run import Run
from stores.progress import Listener, listening, starter
from tasks.base import whose
from wilss.escapes import harmless

PROGRESS_SECONDS = 5.0
"""A stage's progress is told at most this often, and of a shorter one nothing: each costs the server a write."""
LEAVE_SECONDS = 10.0
"""How long a flow that ends waits for what is still to be told."""
UNTOLD = (PrefectException, HTTPError, OSError, ValidationError, RuntimeError)
"""What a server that is slow or gone, or refuses, is heard as; of a client that was closed meanwhile a RuntimeError."""
STARTED = "started-by:"
"""Begins the tag of who or what asked for a run."""
MOST_ROWS = 200
P = ParamSpec("P")
R = TypeVar("R")


class Messenger:
    """Calls of Prefect's interface, one after the other in a thread of their own.

    After the first that fails no other is made: a client tries for a minute before it gives up.
    """

    def __init__(self) -> None:
        self._calls: queue.Queue[Callable[[], object] | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self.lost = False

    def send(self, call: Callable[[], object]) -> None:
        """Have it called in the context of who sends it, soon."""
        if self.lost:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="telling", daemon=True)
            self._thread.start()
        self._calls.put(functools.partial(copy_context().run, call))

    def leave(self) -> None:
        """Wait a while for what is to be told."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join(0 if self.lost else LEAVE_SECONDS)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except UNTOLD:
                self.lost = True
                return


class Teller(Listener):
    """Hands what a flow says on to Prefect.

    alone: the flow runs for a worker, whose log is Prefect's.
    """

    shows = False

    def __init__(self, run: FlowRun) -> None:
        self.alone = run.deployment_id is not None
        self.started_by = starter_of(run)
        self.run = run
        self.messenger = Messenger()
        self._bars: dict[str, _Bar] = {}
        self._lock = threading.Lock()

    def said(self, text: str) -> None:
        """A line of the run's log, with where it comes from."""
        try:
            logger = get_run_logger()
        except MissingContextError:  # a thread of somebody else
            return
        logger.info("%s%s", harmless(text), _whence(self.run.name))

    def moved(self, title: str, stage: str, done: int, total: int, loss: float) -> None:
        """See `stores.progress.Listener`."""
        if not total:
            return
        with self._lock:
            bar = self._bars.setdefault(f"{title}: {stage}", _Bar(f"{title}: {stage}", self.messenger))
        bar.at(100 * done / total, loss)


class _Bar:
    """The progress of one stage as an artifact, once it has taken a while."""

    def __init__(self, title: str, messenger: Messenger) -> None:
        self._title, self._messenger = title, messenger
        self._told = time.monotonic()
        self._id: UUID | None = None

    def at(self, percent: float, loss: float) -> None:
        now, ends = time.monotonic(), percent >= 100 and self._id is not None
        if now - self._told < PROGRESS_SECONDS and not ends:
            return
        self._told = now
        note = f"{self._title}, loss {loss:.3f}" if loss else self._title
        self._messenger.send(lambda: self._tell(percent, note))

    def _tell(self, percent: float, note: str) -> None:
        if self._id is None:
            self._id = create_progress_artifact(progress=percent, key=key_of(self._title), description=note)
        else:
            update_progress_artifact(self._id, progress=percent, description=note)


_TELLER: ContextVar[Teller | None] = ContextVar("teller", default=None)
"""Of the flow run that the context belongs to."""


@contextmanager
def _telling() -> Iterator[None]:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        yield
        return
    teller = Teller(context.flow_run)
    token = _TELLER.set(teller)
    try:
        with listening(teller):
            yield
    finally:
        _TELLER.reset(token)
        teller.messenger.leave()


def told(body: Callable[P, R]) -> Callable[P, R]:
    """The body of a flow, whose lines and progress reach Prefect. Put between ``@flow`` and the function."""

    @functools.wraps(body)
    def telling_body(*args: P.args, **kwargs: P.kwargs) -> R:
        with _telling():
            return body(*args, **kwargs)

    # Prefect reads the types of parameters where the function that it is given stands, which is here
    telling_body.__signature__ = inspect.signature(body, eval_str=True)  # type: ignore[attr-defined]
    return telling_body


def tell_page(key: str, markdown: str, description: str = "") -> None:
    """Text with headings and tables as an artifact of the flow run."""
    _send(lambda: create_markdown_artifact(markdown=markdown, key=key_of(key), description=description))


def tell_table(key: str, rows: Sequence[Mapping[str, object]], description: str = "") -> None:
    """A table as an artifact of the flow run."""
    if plain := [dict(row) for row in rows[:MOST_ROWS]]:
        _send(lambda: create_table_artifact(table=plain, key=key_of(key), description=description))


def _send(call: Callable[[], object]) -> None:
    if teller := _TELLER.get():
        teller.messenger.send(call)


def key_of(text: str) -> str:
    """A key that Prefect takes: lower case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:120] or "wilss"


def _whence(run: str) -> str:
    """Run, step and shard of a line, as its end."""
    context = TaskRunContext.get()
    given = context.parameters if context else {}
    of = given.get("run")
    own = [whose(of)] if isinstance(of, Run | FewShotRun) and of.session.several else []
    parts = own + [f"{name} {given[name]}" for name in ("step", "shard") if isinstance(given.get(name), int)]
    return f" [{', '.join([harmless(run), *(part for part in parts if part not in run)])}]"


def started_by() -> str:
    """Which person, schedule, event or flow started this flow run, in words; "" outside of one."""
    return starter()


def starter_of(run: FlowRun) -> str:
    """Who started a flow run. A tag ``started-by:NAME``, as ``wilss trigger`` and event triggers set, goes first."""
    creator = run.created_by
    name = (creator.display_value or "") if creator else ""
    if named := [tag.removeprefix(STARTED) for tag in run.tags if tag.startswith(STARTED)]:
        return ", ".join(named)
    if creator and creator.type == "AUTOMATION":
        return f"an event ({name or 'automation'})"
    if run.auto_scheduled:
        return f"a schedule of {name}" if name else "a schedule"
    if run.parent_task_run_id:
        return "another flow run"
    if run.deployment_id:
        return f"a request for the deployment{f' ({name})' if name else ''}"
    try:
        return f"{getpass.getuser()} at the command line"
    except (OSError, KeyError):  # a user without a name, as in containers
        return "somebody at the command line"
