"""The janitor: runs whose process is gone are ended, their slots freed, and they are taken up again while they may be.

After a crash or a reboot nobody else does it: such a run stays PENDING or RUNNING for ever, holds the slot of its
deployment, and with CANCEL_NEW every later run is cancelled (PrefectHQ/prefect#17955).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from deployments.catalogue import retries_of
from deployments.flow_runs import ENDED, HOLDING, as_run
from deployments.service.log import ServiceLog
from deployments.service.processes import runs_alive
from deployments.waiting import is_online
from flows.api import Api
from wilss.errors import ServerNotFoundError, ServerRefusedError

Row = dict[str, Any]
START_GRACE = timedelta(seconds=90)
"""A worker has so long from taking a run to its process."""
TASK_GRACE = timedelta(seconds=30)
"""What tasks tell arrives late."""
LAST_SECONDS = 1.5
PUT_BACK = "the service was ended; the run goes on when it is up again"
RECENT = timedelta(days=3)
"""A run that crashed before that is not taken up again: somebody will have seen to it."""


class Janitor:
    """Looks over the runs of some pools, round after round.

    Args:
        api: of the server. log: takes a line a thing that is done. workers: pool -> when its worker was started, in
            seconds since the epoch; 0 for one that was not started yet.
    """

    def __init__(self, api: Api, log: ServiceLog, workers: Callable[[], Mapping[str, float]]) -> None:
        self._api, self._log, self._workers = api, log, workers
        self._doubted: set[str] = set()
        self._doubts: set[str] = set()

    def round(self) -> None:
        """Look once; a server that does not answer is said, and looked at again in the next round."""
        silent = "janitor: the server does not answer; looking again"
        self._doubted, self._doubts = self._doubts, set()
        try:
            self._lost_runs()
            self._unfinished_tasks()
            self._crashed_runs()
            self._unanswered()
            self._slots()
        except (ServerNotFoundError, ServerRefusedError) as error:
            self._log.say_once(f"{silent} ({error})" if "refuses" in str(error) else silent)
        else:
            self._log.forget(silent)

    def put_back(self) -> None:
        """When the service ends: runs that were cut off wait for the next time; it does not count as a crash."""
        try:
            for run in self._held(self._alive_at_last()):
                self._set(run, "SCHEDULED", PUT_BACK, "waits until the service is up again", "AwaitingRetry")
        except (ServerNotFoundError, ServerRefusedError) as error:
            self._log.say(f"janitor: what was at work is looked after when the service is up again ({error})")

    def _alive_at_last(self) -> set[str] | None:
        """Runs that have a process still, after those of ended workers had time to end."""
        deadline = time.monotonic() + LAST_SECONDS
        while (alive := runs_alive()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return alive

    def _held(self, alive: set[str] | None) -> list[Row]:
        """Runs of our pools that hold a slot and have no process."""
        if alive is None:
            return []
        runs = self._api.rows("/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": list(HOLDING)}}}})
        held = [run for run in runs if run["id"] not in alive and run.get("work_pool_name") in self._workers()]
        elsewhere = {pool for pool in {run["work_pool_name"] for run in held} if self._is_served_elsewhere(pool)}
        return [run for run in held if run["work_pool_name"] not in elsewhere]

    def _is_served_elsewhere(self, pool: str) -> bool:
        """Whether a worker of another machine takes runs of the pool: their processes are not to be seen here."""
        workers = self._api.post(f"/work_pools/{pool}/workers/filter")
        others = [one["name"] for one in workers if is_online(one) and one["name"] != worker_name(pool)]
        if others:
            self._log.say_once(f"janitor: {others[0]} serves pool {pool} too; runs of that pool are left alone")
        return bool(others)

    def _lost_runs(self) -> None:
        for run in self._held(runs_alive()):
            if reason := self._lost(run):
                self._end(run, reason)

    def _lost(self, run: Row) -> str:
        """Why a run without a process is lost; "" where its process may still come, or its worker tells its end."""
        began, worker = datetime.fromisoformat(run["state"]["timestamp"]), self._workers()[run["work_pool_name"]]
        if began.timestamp() > worker > 0:  # taken by the worker of now
            starts = run["state_type"] == "PENDING" and not run.get("infrastructure_pid")
            if not self._is_certain(f"{run['id']} {run['state_id']}"):
                return ""
            if starts and datetime.now(UTC) - began < START_GRACE:
                return ""
        if run["state_type"] == "CANCELLING":
            return "it was cancelled, and its process is gone"
        return f"its process is gone (it was {run['state_name']} since {began.astimezone():%Y-%m-%d %H:%M:%S})"

    def _is_certain(self, doubt: str) -> bool:
        """Whether it looked like that in the last round too: table and server are not read at one moment."""
        self._doubts.add(doubt)
        return doubt in self._doubted

    def _end(self, run: Row, reason: str) -> None:
        if run["state_type"] == "CANCELLING":
            self._set(run, "CANCELLED", reason, f"is cancelled: {reason}")
        else:
            self._set(run, "CRASHED", reason, f"has crashed: {reason}; its slot is free")

    def _crashed_runs(self) -> None:
        """Take up again what may be."""
        since = (datetime.now(UTC) - RECENT).isoformat()
        body = {"state": {"type": {"any_": ["CRASHED"]}}, "end_time": {"after_": since}}
        for run in self._api.rows("/flow_runs/filter", {"flow_runs": body}):
            if run.get("work_pool_name") not in self._workers() or not run.get("deployment_id"):
                continue
            done, allowed = self._crashes(run), retries_of(run.get("tags", ()))
            if done <= allowed:
                message = f"taken up again after a crash, {done} of {allowed}"
                self._set(run, "SCHEDULED", message, f"is {message}", "AwaitingRetry")

    def _crashes(self, run: Row) -> int:
        states = self._api.get(f"/flow_run_states/?flow_run_id={run['id']}")
        return sum(state["type"] == "CRASHED" for state in states)

    def _unfinished_tasks(self) -> None:
        """Tasks of ended or waiting runs that seem to be at work."""
        before = datetime.now(UTC) - TASK_GRACE
        tasks = {"state": {"type": {"any_": list(HOLDING)}}, "flow_run_id": {"is_null_": False}}
        idle = {"state": {"type": {"any_": [*ENDED, "SCHEDULED"]}}}
        found = self._api.rows("/task_runs/filter", {"task_runs": tasks, "flow_runs": idle})
        for task in found:
            if datetime.fromisoformat(task["state"]["timestamp"]) < before and not self._is_at_work(task):
                state = {"type": "CRASHED", "message": "its run has ended"}
                self._api.post(f"/task_runs/{task['id']}/set_state", {"state": state, "force": True})
                self._log.say(f"janitor: task '{task['name']}' was left {task['state_name']} by a run that has ended")

    def _is_at_work(self, task: Row) -> bool:
        """Whether its run began again, or ended so shortly ago that the task's own end is still to come."""
        run = self._api.get(f"/flow_runs/{task['flow_run_id']}")
        began = datetime.fromisoformat(run["state"]["timestamp"])
        return run["state_type"] not in (*ENDED, "SCHEDULED") or datetime.now(UTC) - began < TASK_GRACE

    def _unanswered(self) -> None:
        """An approval that nobody gave in time: no answer means no."""
        now = datetime.now(UTC)
        for run in self._api.rows("/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}}}):
            deadline = as_run(run).deadline
            if deadline and deadline < now:
                message = f"no answer by {deadline.astimezone():%Y-%m-%d %H:%M %Z}, which means no"
                self._set(run, "CANCELLED", message, f"is not approved: {message}", "Not approved")

    def _slots(self) -> None:
        """Slots of a deployment that no run holds are given back: a server that was killed forgets to."""
        limits = self._api.rows("/v2/concurrency_limits/filter")
        for limit in limits:
            name = str(limit["name"])
            if not name.startswith("deployment:") or not limit["active_slots"]:
                continue
            body = {"state": {"type": {"any_": list(HOLDING)}}}
            deployment = {"id": {"any_": [name.removeprefix("deployment:")]}}
            held = len(self._api.rows("/flow_runs/filter", {"flow_runs": body, "deployments": deployment}))
            at_rest = not any(self._workers().values())
            if held < limit["active_slots"] and (self._is_certain(f"{name} {limit['active_slots']}") or at_rest):
                self._api.patch(f"/v2/concurrency_limits/{limit['id']}", {"active_slots": held})
                self._log.say(
                    f"janitor: {limit['active_slots'] - held} slots of {name} were held by no run; they are free"
                )

    def _set(self, run: Row, kind: str, message: str, said: str, name: str | None = None) -> None:
        """Give a run another state, and say so, unless it has got another one since it was read."""
        if self._api.get(f"/flow_runs/{run['id']}")["state_id"] != run["state_id"]:
            return
        state: Row = {"type": kind, "message": message}
        if name:
            state["name"] = name
        if kind == "SCHEDULED":
            state["state_details"] = {"scheduled_time": datetime.now(UTC).isoformat()}
        self._api.post(f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
        self._log.say(f"janitor: {title(run)} {said}")


def worker_name(pool: str) -> str:
    """Of the one worker of a pool: the host is in it, as another machine may serve the same pool."""
    return f"wilss-{pool}-{socket.gethostname()}"


def title(run: Row) -> str:
    """A run in a sentence."""
    return f"run '{run['name']}' ({run['id'][-8:]})"
