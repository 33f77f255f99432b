"""What computes the parts of a stage side by side: threads of this process, or Dask's workers.

The one place that knows the setting ``runner``. Dask is an extra, and is imported where it is asked for.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from prefect import Task, unmapped
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from stores.plans.run import Run
from wilss.errors import SpecError
from wilss.settings import THREADS, Settings

PACKAGES = ("distributed", "prefect_dask")
"""Of the extra."""


class SideBySide(Protocol):
    """Runs one task for many parts; each part is a task run in Prefect's graph."""

    def map(
        self, task: Task[..., Any], same: Mapping[str, Any], each: Mapping[str, Sequence[Any]], shown: Shown
    ) -> Sequence[PrefectFuture[Any]]:
        """One ended task run a part, in order; the task's ``run`` is given by who maps.

        Args:
            same: arguments that all parts share. each: argument -> its value of every part.

        Raises what the first part that goes wrong raises.
        """
        ...


@dataclass(frozen=True)
class Shown:
    """How the progress of the whole is shown. stage: what is done to images. images: their number in every part."""

    title: str
    stage: str
    images: Sequence[int]


@contextmanager
def side_by_side(run: Run, there: Path) -> Iterator[SideBySide]:
    """What the settings of a run ask for; it ends with the block, and everything that it has started ends too.

    Args:
        there: a folder below the root, by which other machines are seen to have the same root.

    Raises as `require_runner`, when the block begins and where workers are lost within it.
    """
    settings = run.settings
    if not has_workers(settings):
        with ThreadPoolTaskRunner(max_workers=settings.workers) as runner:
            yield _Threads(run, runner)
        return
    require_extra(settings)
    from flows.dask_workers import dask_workers

    with dask_workers(run, there) as workers:
        yield workers


def require_runner(settings: Settings) -> None:
    """Look once, before anything is computed, whether what is asked for is there.

    Raises SpecError where the extra is not installed, RunnerError for a scheduler that does not answer, or whose
    workers have other versions.
    """
    if not has_workers(settings):
        return
    require_extra(settings)
    if settings.scheduler:
        from flows.dask_connect import look_at

        look_at(settings.scheduler)


def parts_of(count: int, size: int) -> list[int]:
    """Numbers of images of parts of one size, of which the last may be smaller."""
    return [min(size, count - start) for start in range(0, count, size)]


def has_workers(settings: Settings) -> bool:
    """Whether others than this process compute."""
    return settings.runner != THREADS


def require_extra(settings: Settings) -> None:
    """Raise SpecError where packages of the extra are missing."""
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise SpecError(
            f"runner '{settings.runner}' needs {' and '.join(missing).replace('_', '-')}; install them with "
            "pip install 'wilss[dask]', or give --runner threads"
        )


class _Threads:
    """Threads that share the run which is opened here; every part shows its own progress."""

    def __init__(self, run: Run, runner: ThreadPoolTaskRunner[Any]) -> None:
        self._run, self._runner = run, runner

    def map(
        self, task: Task[..., Any], same: Mapping[str, Any], each: Mapping[str, Sequence[Any]], shown: Shown
    ) -> Sequence[PrefectFuture[Any]]:
        given = {name: unmapped(value) for name, value in {"run": self._run, **same}.items()}
        futures = self._runner.map(task, {**given, **{name: list(values) for name, values in each.items()}})
        futures.result()  # raises what went wrong in one
        return futures
