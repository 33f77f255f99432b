"""The run of a Dask worker: opened with the first task, its models loaded once, and let go with the plugin."""

from __future__ import annotations

import gc
import sys
import threading

from distributed import Worker, WorkerPlugin

from stores.plans.closed import ClosedRun
from stores.plans.run import Run
from tasks.worker_versions import require_same_version, versions_here


class WorkerRun(WorkerPlugin):
    """Holds the run of one stage on a worker, as long as the stage lasts or the worker lives."""

    def __init__(self, name: str, closed: ClosedRun) -> None:
        self.name, self.closed = name, closed
        self._versions = versions_here()

    def setup(self, worker: Worker) -> None:
        """See `distributed.WorkerPlugin`."""
        self._where = f"the worker {worker.address}"
        self._opening, self._run = threading.Lock(), None

    def teardown(self, worker: Worker) -> None:
        """See `distributed.WorkerPlugin`; a worker that goes on has its memory back."""
        self._run = None
        gc.collect()
        if (torch := sys.modules.get("torch")) and torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    @property
    def run(self) -> Run:
        """The run; several threads of a worker share it.

        Raises as `ClosedRun.open`, and RunnerError in a worker that joined later and has other versions.
        """
        with self._opening:
            if self._run is None:
                require_same_version(self._where, versions_here(), self._versions)
                run = self.closed.open(self._where)
                assert isinstance(run, Run)  # few-shot runs compute in their own process
                self._run = run
            return self._run
