"""Parts of a stage on Dask's workers: a cluster of this machine, or that of a scheduler.

What is sent is small: the run as plain data once a worker, which opens it, and the arguments of every part. A worker
that is lost, however it ended, is no error: its parts are done again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from distributed import Client, LocalCluster
from distributed.utils import silence_logging_cmgr
from prefect import Task
from prefect_dask import DaskTaskRunner
from prefect_dask.task_runners import PrefectDaskFuture

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

CONNECT_SECONDS = 10.0
START_IT = "start one with 'dask scheduler', name another with --runner dask:ADDRESS, or give --runner threads"


@contextmanager
def dask_workers(run: Run, there: Path) -> Iterator[DaskWorkers]:
    """Workers that know the run. Raises RunnerError where they cannot be had, or are not such as this process needs."""
    name = f"wilss-{uuid4().hex}"
    with silence_logging_cmgr(logging.CRITICAL), _runner(run.settings) as runner:
        client = runner.client
        require_same_versions(client)
        require_reachable_server(client)
        client.register_plugin(WorkerRun(name, ClosedRun.of(run, there)), name=name)
        try:
            yield DaskWorkers(run, runner, name)
        finally:
            with suppress(OSError, TimeoutError):  # a scheduler that is gone holds nothing any more
                client.unregister_worker_plugin(name)


def look_at(address: str) -> None:
    """Connect to a scheduler and go again. Raises as `dask_workers`."""
    with silence_logging_cmgr(logging.CRITICAL), _connected(address) as client:
        require_same_versions(client)


@contextmanager
def _runner(settings: Settings) -> Iterator[DaskTaskRunner]:
    if address := settings.scheduler:
        with _connected(address), DaskTaskRunner(address=address) as runner:
            yield runner
        return
    local = {
        "n_workers": settings.workers,
        "threads_per_worker": 1,
        "processes": True,
        "host": "127.0.0.1",
        "dashboard_address": None,
        "silence_logs": logging.CRITICAL,
        "memory_limit": 0,  # else workers are paused and killed by how much torch keeps
    }
    with DaskTaskRunner(cluster_class=LocalCluster, cluster_kwargs=local) as runner:
        try:
            assert runner.client
        except (RuntimeError, OSError) as error:
            raise RunnerError(
                f"a Dask cluster of {settings.workers} workers does not start ({error!s:.200}); give fewer --workers, "
                "or --runner threads"
            ) from error
        yield runner


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:  # nothing there, something else, or no address
        raise RunnerError(f"no Dask scheduler answers at '{address:.200}' ({_reason(error)}); {START_IT}") from error
    with client:
        yield client


def _reason(error: BaseException) -> str:
    return " ".join(str(error.__cause__ or error).split())[:200] or type(error).__name__


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
