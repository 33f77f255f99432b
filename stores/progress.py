"""Progress of long stages: bars on a terminal, plain log lines elsewhere; and whoever listens beside that.

A flow listens, so that what is said reaches Prefect too, of which nothing is known here.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from wilss.escapes import harmless
from wilss.progress import Progress

LINE_SECONDS = 10.0


class Listener(Protocol):
    """Who hears what is said in its context, and in threads that take the context over.

    alone: lines for people reach them through it, and nothing is printed. shows: it shows progress itself, so that no
    bar or line of it is made here. started_by: who or what started what it
    hears, in words.
    """

    alone: bool
    shows: bool
    started_by: str

    def said(self, text: str) -> None:
        """A line for people."""
        ...

    def moved(self, title: str, stage: str, done: int, total: int, loss: float) -> None:
        """How far the stage of a title is; called as often as once a batch."""
        ...


_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have a listener hear what the block says."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def starter() -> str:
    """Who or what started the work of this context, in words; "" where nobody listens who knows."""
    listener = _LISTENER.get()
    return listener.started_by if listener else ""


@contextmanager
def stage_progress(title: str, counted: str = "") -> Iterator[Progress]:
    """Show one stage; the callback takes (stage, done, total, loss), a loss of 0 is not shown.

    Args:
        counted: what is done, such as "images", whose number a second since the first call is shown too.
    """
    listener = _LISTENER.get()
    if listener is not None and listener.shows:
        yield partial(listener.moved, title)
        return
    with _shown(title, Pace(counted)) as show:
        yield show if listener is None else _heard(show, listener, title)


def say(text: str) -> None:
    """One plain line for people on standard error."""
    listener = _LISTENER.get()
    if listener is None or not listener.alone:
        print(harmless(text), file=sys.stderr, flush=True)
    if listener is not None:
        listener.said(text)


def _heard(show: Progress, listener: Listener, title: str) -> Progress:
    def update(stage: str, done: int, total: int, loss: float) -> None:
        show(stage, done, total, loss)
        listener.moved(title, stage, done, total, loss)

    return update


class Pace:
    """How many are done a second since it was told first.

    Args:
        counted: what they are; "" tells nothing.
    """

    def __init__(self, counted: str) -> None:
        self._counted, self._first = counted, (0, 0.0)

    def __call__(self, done: int) -> str:
        """In words, such as "26.4 images/s"; "" where nothing is known yet."""
        now = time.monotonic()
        if not self._first[1] or done < self._first[0]:
            self._first = done, now
        count, seconds = done - self._first[0], now - self._first[1]
        return f"{count / seconds:.3g} {self._counted}/s" if self._counted and count and seconds else ""


@contextmanager
def _shown(title: str, pace: Pace) -> Iterator[Progress]:
    if sys.stderr.isatty():
        with _bars() as bars:
            bar = bars.add_task(title, total=None, note="")

            def update(stage: str, done: int, total: int, loss: float) -> None:
                bars.update(
                    bar,
                    description=f"{title}: {stage}",
                    completed=done,
                    total=total,
                    note=f"loss {loss:.3f}" if loss else pace(done),
                )

            yield update
    else:
        yield _lines(title, pace)


def _bars() -> Bars:
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}% {task.fields[note]}"),
    )
    return Bars(*columns, TimeRemainingColumn(), console=Console(stderr=True))


def _lines(title: str, pace: Pace) -> Progress:
    last = time.monotonic()

    def update(stage: str, done: int, total: int, loss: float) -> None:
        nonlocal last
        now, rate = time.monotonic(), pace(done)
        if done == total or now - last >= LINE_SECONDS:
            last = now
            say(f"{title}: {stage} {done}/{total}" + (f", loss {loss:.3f}" if loss else "") + (rate and f", {rate}"))

    return update
