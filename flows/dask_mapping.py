"""One task mapped over parts on Dask's workers: what they tell is heard, and what is lost is sent again."""

from __future__ import annotations

import queue
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from distributed import KilledWorker, LocalCluster, Status
from prefect import Task
from prefect_dask import DaskTaskRunner
from prefect_dask.task_runners import PrefectDaskFuture

from flows.runners import Shown
from stores.plans.run import Run
from stores.progress import stage_progress
from tasks.workers import TOPIC, RunElsewhere
from wilss.errors import RunnerError

LOOK_SECONDS = 1.0
KEEP_SECONDS = 5.0
"""How often workers of this machine that are gone for good are replaced."""
PATIENCE = 30.0
"""Seconds after which it is said, again and again, that there is no worker."""
AHEAD = 1000
"""Parts that a scheduler knows at once: it keeps some ten kilobytes of each."""
ROUNDS = 8
"""How often a part is sent again that its scheduler gave up, after four workers died of it."""
ALL = "all"
"""Topic of what a scheduler notes of its workers."""
Event = Mapping[str, Any]


class DaskMapping:
    """The parts of one stage.

    Args:
        run: as it is opened here. elsewhere: as workers have it open. parts: arguments of the task, a mapping a part.
    """

    def __init__(
        self,
        run: Run,
        runner: DaskTaskRunner,
        elsewhere: RunElsewhere,
        task: Task[..., Any],
        parts: Sequence[Mapping[str, Any]],
        shown: Shown,
    ) -> None:
        self._run, self._runner, self._elsewhere = run, runner, elsewhere
        self._task, self._parts, self._shown = task, parts, shown
        self._heard: queue.SimpleQueue[int | Event] = queue.SimpleQueue()
        self._at_work: dict[int, PrefectDaskFuture[Any]] = {}
        self._ended: dict[int, PrefectDaskFuture[Any]] = {}
        self._images = [0] * len(parts)
        self._given_up: Counter[int] = Counter()
        self._last = self._kept = time.monotonic()

    def ended(self) -> list[PrefectDaskFuture[Any]]:
        """The task runs of all parts, which have ended well.

        Raises what a part raises, RunnerError where the scheduler is gone, or a part ends every worker.
        """
        waiting, total, done = deque(range(len(self._parts))), sum(self._shown.images), -1
        with stage_progress(self._shown.title, "images") as progress, self._listening():
            self._look()
            while len(self._ended) < len(self._parts):
                if done != (now := sum(self._images)) and now < total:  # the end is told once
                    done = now
                    progress(self._shown.stage, done, total, 0.0)
                while waiting and len(self._at_work) < AHEAD:
                    self._send(waiting.popleft())
                self._hear()
                self._keep_up()
            progress(self._shown.stage, total, total, 0.0)
        return [self._ended[part] for part in range(len(self._parts))]

    @contextmanager
    def _listening(self) -> Iterator[None]:
        client, topics = self._runner.client, (TOPIC, ALL)
        for topic in topics:
            client.subscribe_topic(topic, lambda event: self._heard.put(event[1]))
        try:
            yield
        finally:
            with suppress(OSError, TimeoutError, CancelledError):  # a scheduler that is gone works for nobody
                client.cancel([future.wrapped_future for future in self._at_work.values()])
                for topic in topics:
                    client.unsubscribe_topic(topic)

    def _send(self, part: int) -> None:
        given = {"run": replace(self._elsewhere, part=part), **self._parts[part]}
        future = self._at_work[part] = self._runner.submit(self._task, given)
        future.wrapped_future.add_done_callback(partial(self._tell_end, part))

    def _tell_end(self, part: int, _: object) -> None:
        self._heard.put(part)

    def _hear(self) -> None:
        """One thing that was told, or a look at the workers where nothing is told for long."""
        try:
            told = self._heard.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            if time.monotonic() - self._last > PATIENCE:
                self._look()
            return
        self._last = time.monotonic()
        if isinstance(told, int):
            self._end(told)
        elif told.get("run") == self._elsewhere.name:
            self._take(told)
        elif told.get("action") == "remove-worker" and told["processing-tasks"] and not told.get("expected"):
            self._run.session.say(f"the worker {told['worker']} was lost; what it was at is done again")

    def _keep_up(self) -> None:
        """Have so many workers on this machine as were asked for; those of a scheduler are not ours to start.

        Dask restarts a worker that ends, but none that ends, or is slow, while it starts.
        """
        cluster = self._runner.client.cluster
        if isinstance(cluster, LocalCluster) and time.monotonic() - self._kept > KEEP_SECONDS:
            self._kept = time.monotonic()
            cluster.loop.add_callback(_replace_ended, cluster, self._run.settings.workers)

    def _take(self, told: Event) -> None:
        """What a task says. Every worker that opens the run says what was said when it was opened here: once is enough.

        What a worker tells may come after its end was heard.
        """
        if "said" in told:
            text = str(told["said"])
            self._run.session.once((text, "said"), partial(self._run.session.say, text))
        elif told["part"] in self._at_work:
            self._images[told["part"]] = told["done"]

    def _end(self, part: int) -> None:
        future = self._at_work.pop(part)
        try:
            future.result()
        except KilledWorker as error:
            self._given_up[part] += 1
            if self._given_up[part] > ROUNDS:
                raise RunnerError(
                    f"{self._shown.title}: every worker that takes part {part} ends, {4 * self._given_up[part]} by "
                    "now; look at its memory and its log"
                ) from error
            self._send(part)
        except CancelledError as error:
            raise self._gone() from error
        else:
            self._ended[part] = future
            self._images[part] = self._shown.images[part]
            future.wrapped_future.release()  # so that it is not made again when its worker is lost

    def _look(self) -> None:
        self._last = time.monotonic()
        try:
            workers = self._runner.client.ncores()
        except (OSError, CancelledError) as error:
            raise self._gone() from error
        if workers:
            return
        if where := self._run.settings.scheduler:
            self._run.session.say(f"no worker is at {where}; waiting for one: start it with 'dask worker {where}'")
        else:
            self._run.session.say("all workers of this machine are lost; new ones are started")

    def _gone(self) -> RunnerError:
        return RunnerError(
            f"the Dask scheduler at '{self._run.settings.scheduler}' is gone; what is written stays: start it, then "
            "the same command again"
        )


def _replace_ended(cluster: LocalCluster, workers: int) -> None:
    """Runs in the cluster's loop."""
    for name, worker in list(cluster.workers.items()):
        if worker.status in (Status.closed, Status.failed):
            del cluster.workers[name]
    cluster.scale(workers)
