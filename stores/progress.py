"""Progress of long stages: bars on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from wilss.escapes import harmless

LINE_SECONDS = 10.0

Callback = Callable[[str, int, int, float], None]


@contextmanager
def stage_progress(title: str) -> Iterator[Callback]:
    """Show one stage; the callback takes (stage, done, total, loss), a loss of 0 is not shown."""
    if sys.stderr.isatty():
        with _bars() as progress:
            bar = progress.add_task(title, total=None, note="")

            def update(stage: str, done: int, total: int, loss: float) -> None:
                progress.update(
                    bar,
                    description=f"{title}: {stage}",
                    completed=done,
                    total=total,
                    note=f"loss {loss:.3f}" if loss else "",
                )

            yield update
    else:
        yield _lines(title)


def say(text: str) -> None:
    """One plain line for people on standard error."""
    print(harmless(text), file=sys.stderr, flush=True)


def _bars() -> Progress:
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}% {task.fields[note]}"),
    )
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


def _lines(title: str) -> Callback:
    last = time.monotonic()

    def update(stage: str, done: int, total: int, loss: float) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= LINE_SECONDS:
            last = now
            say(f"{title}: {stage} {done}/{total}" + (f", loss {loss:.3f}" if loss else ""))

    return update
