"""Parts of a stage on Dask's workers: a cluster of this machine, or that of a scheduler.

What is sent is small: the run as plain data once a worker, which opens it, and the arguments of every part. A worker
that is lost, however it ended, is no error: its parts are done again.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import dask
from distributed import LocalCluster
from prefect import Task
from prefect_dask import DaskTaskRunner
from prefect_dask.task_runners import PrefectDaskFuture

from flows.dask_connect import quiet, require_scheduler
from flows.dask_mapping import DaskMapping
from flows.dask_versions import require_reachable_server, require_same_versions
from flows.runners import Shown
from stores.plans.closed import ClosedRun
from stores.plans.run import Run
from tasks.base import whose_of_several
from tasks.worker_plugin import WorkerRun
from tasks.workers import RunElsewhere
from wilss.errors import RunnerError
from wilss.settings import Settings


@contextmanager
def dask_workers(run: Run, there: Path) -> Iterator[DaskWorkers]:
    """Workers that know the run. Raises RunnerError where they cannot be had, or are not such as this process needs."""
    name = f"wilss-{uuid4().hex}"
    with quiet(), _runner(run.settings) as runner:
        client = runner.client
        require_same_versions(client)
        require_reachable_server(client)
        run.session.say(f"{len(client.ncores())} Dask workers at {client.scheduler.address}")
        client.register_plugin(WorkerRun(name, ClosedRun.of(run, there)), name=name)
        try:
            yield DaskWorkers(run, runner, name)
        finally:
            with suppress(OSError, TimeoutError):  # a scheduler that is gone holds nothing any more
                client.unregister_worker_plugin(name)


@contextmanager
def _runner(settings: Settings) -> Iterator[DaskTaskRunner]:
    if address := settings.scheduler:
        require_scheduler(address)
        with DaskTaskRunner(address=address) as runner:
            yield runner
        return
    local = {
        "n_workers": settings.workers,
        "threads_per_worker": 1,
        "processes": True,
        "host": "127.0.0.1",
        "dashboard_address": "127.0.0.1:0",  # Dask listens in any case: at a free port, and there are no pages
        "scheduler_kwargs": {"dashboard": False},
        "silence_logs": logging.CRITICAL,
        "memory_limit": 0,  # else workers are paused and killed by how much torch keeps
    }
    own = {f"distributed.{of}.http.routes": [] for of in ("scheduler", "worker")} | {
        "distributed.deploy.lost-worker-timeout": "120s",  # of 15 s, in which a busy machine starts no torch
        "distributed.nanny.pre-spawn-environ": _worker_environment(),
        "distributed.worker.preload": ["tasks.deaf"],
    }
    with (
        dask.config.set(own),
        _silent_tracker(),
        DaskTaskRunner(cluster_class=LocalCluster, cluster_kwargs=local) as runner,
    ):
        _start(runner, settings.workers)
        yield runner


def _worker_environment() -> dict[str, object]:
    """What Dask sets for a worker's start, but for its hint to glibc's allocator.

    That hint has every block of more than 128 KiB come from the system and go back to it, which is nearly all that
    torch takes: half of a worker's time was the system's.
    """
    environment: dict[str, object] = dask.config.get("distributed.nanny.pre-spawn-environ")
    return {name: value for name, value in environment.items() if name != "MALLOC_TRIM_THRESHOLD_"}


@contextmanager
def _silent_tracker() -> Iterator[None]:
    """After Ctrl-C, Python's process that tracks semaphores would tell of them; it takes its warnings from here."""
    sys.warnoptions.append("ignore:resource_tracker")
    try:
        yield
    finally:
        sys.warnoptions.remove("ignore:resource_tracker")


def _start(runner: DaskTaskRunner, workers: int) -> None:
    """Have the cluster up; Prefect starts it when its client is asked for."""
    try:
        getattr(runner, "client")  # noqa: B009
    except (RuntimeError, OSError) as error:
        raise RunnerError(
            f"a Dask cluster of {workers} workers does not start ({error!s:.200}); give fewer --workers, or --runner "
            "threads"
        ) from error


class DaskWorkers:
    """See `flows.runners.SideBySide`; the progress of all workers is one line."""

    def __init__(self, run: Run, runner: DaskTaskRunner, name: str) -> None:
        self._run, self._runner = run, runner
        self._elsewhere = RunElsewhere(name, whose_of_several(run))

    def map(
        self, task: Task[..., Any], same: Mapping[str, Any], each: Mapping[str, Sequence[Any]], shown: Shown
    ) -> list[PrefectDaskFuture[Any]]:
        """See `flows.runners.SideBySide`."""
        own = [dict(zip(each, values, strict=True)) for values in zip(*each.values(), strict=True)]
        parts = [{**same, **values} for values in own]
        return DaskMapping(self._run, self._runner, self._elsewhere, task, parts, shown).ended()
