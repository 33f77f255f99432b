"""Why a run that is due has not begun; commands that wait, and ``wilss status``, say it in the same words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from deployments.flow_runs import HOLDING, FlowRun, as_run
from flows.api import Api


class Pool(BaseModel):
    """A pool of workers. workers: that are there. waiting: runs that are due. running: that it works on."""

    name: str
    workers: int
    paused: bool
    waiting: int = 0
    running: int = 0

    @classmethod
    def of(cls, api: Api, row: Mapping[str, Any], waiting: int = 0, running: int = 0) -> Pool:
        """A pool as the server tells it, with the workers that are there."""
        workers = api.post(f"/work_pools/{row['name']}/workers/filter")
        online = sum(is_online(worker) for worker in workers)
        return cls(name=row["name"], workers=online, paused=row["is_paused"], waiting=waiting, running=running)

    @property
    def sentence(self) -> str:
        """For people."""
        state = f"{self.workers} worker{'s' * (self.workers != 1)}" if self.workers else "has no worker"
        return f"{self.name}: {state}{', paused' * self.paused}, {self.running} at work, {self.waiting} waiting"


def is_online(worker: Mapping[str, Any]) -> bool:
    """Whether a worker has told of itself of late; what the server says of it comes half a minute later."""
    heard = datetime.fromisoformat(str(worker["last_heartbeat_time"]))
    silent = (datetime.now(UTC) - heard).total_seconds()
    return silent < 2.5 * (worker["heartbeat_interval_seconds"] or 30)


def why_waiting(api: Api, run: FlowRun) -> str:
    """The same, asked for one run."""
    row = api.found(f"/work_pools/{run.work_pool_name}") if run.work_pool_name else None
    if row is None:
        return reason(run, None, ())
    return reason(run, Pool.of(api, row), holders_of(api, run.work_pool_name or ""))


def reason(run: FlowRun, pool: Pool | None, holders: Sequence[FlowRun]) -> str:
    """What a run waits for, as a sentence.

    Args:
        pool: that it belongs to; None for one that is gone, or none. holders: runs that the pool works on.
    """
    state, due = run.state, run.expected_start_time
    if state is not None and state.type == "PAUSED":
        return f"it waits for an answer until {local(run.deadline)}" if run.deadline else "it waits for an answer"
    takes_slot = state is not None and state.name == "AwaitingConcurrencySlot"
    if not takes_slot and due and due > datetime.now(UTC):
        return f"it begins at {local(due)}"
    if pool is None:
        if run.work_pool_name:
            return f"its pool {run.work_pool_name} is gone; 'wilss up' makes it again"
        return "it belongs to no pool, so no worker takes it; deploy it with 'wilss up' or 'wilss deploy'"
    if pool.paused:
        return f"pool {pool.name} is paused; resume it with 'prefect work-pool resume {pool.name}'"
    if not pool.workers:
        return f"pool {pool.name} has no worker; 'wilss up' starts one"
    if takes_slot:
        return "another run of its deployment is at work"
    if others := [other for other in holders if other.id != run.id]:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        doing = others[0].state.name.lower() if others[0].state else "pending"
        return f"pool {pool.name} is at work on run {others[0].name} ({doing}){more}"
    return (state and state.message) or f"a worker of pool {pool.name} takes it next"


def holders_of(api: Api, pool: str) -> list[FlowRun]:
    """Runs that hold slots of a pool, the earliest first."""
    body = {
        "sort": "START_TIME_ASC",
        "limit": 20,
        "flow_runs": {"state": {"type": {"any_": list(HOLDING)}}},
        "work_pools": {"name": {"any_": [pool]}},
    }
    return [as_run(answer) for answer in api.post("/flow_runs/filter", body)]


def local(time: datetime) -> str:
    """A time of this machine's zone."""
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S %Z}"
