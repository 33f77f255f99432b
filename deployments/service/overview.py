"""Runs and pools of a server, in words: what works, what waits for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from deployments.flow_runs import HOLDING, FlowRun, as_run
from deployments.waiting import Pool, local, reason
from flows.api import Api

Row = dict[str, Any]
SHOWN = 5
"""Runs that failed last, and planned ones."""
BAD = ("FAILED", "CRASHED", "CANCELLED")


class RunLine(BaseModel):
    """A run. deployment: KIND/NAME, "" for none. since: local time. why: it waits, or what it ended with."""

    id: str
    name: str
    deployment: str
    state: str
    since: str
    why: str

    @property
    def sentence(self) -> str:
        """For people."""
        of = f" of {self.deployment}" if self.deployment else ""
        return f"'{self.name}'{of}, {self.state} {self.since}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True)
class Overview:
    """Everything that a server has to say of its runs now."""

    pools: tuple[Pool, ...]
    running: tuple[RunLine, ...]
    waiting: tuple[RunLine, ...]
    planned: tuple[RunLine, ...]
    failed: tuple[RunLine, ...]


def look(api: Api, now: datetime) -> Overview:
    """Ask a server. Raises ServerNotFoundError where it does not answer."""
    names = _deployment_names(api)
    at_work = _runs(api, list(HOLDING))
    scheduled = _runs(api, ["SCHEDULED", "PAUSED"])
    due = [run for run in scheduled if _planned_for(run) <= now or run["state_type"] == "PAUSED"]
    later = [run for run in scheduled if run not in due]
    pools = tuple(_pool(api, row, due, at_work) for row in api.rows("/work_pools/filter"))
    of_pool = {pool.name: pool for pool in pools}
    holders = [as_run(run) for run in at_work]
    ended = {"state": {"type": {"any_": list(BAD)}}}
    failed = api.post("/flow_runs/filter", {"flow_runs": ended, "sort": "END_TIME_DESC", "limit": SHOWN})
    return Overview(
        pools,
        tuple(_line(run, names, "") for run in at_work),
        tuple(_line(run, names, _why(run, of_pool, holders)) for run in due),
        tuple(_line(run, names, "", _planned_for(run)) for run in later[:SHOWN]),
        tuple(_line(run, names, run["state"]["message"] or "") for run in failed),
    )


def _runs(api: Api, kinds: list[str]) -> list[Row]:
    body = {"state": {"type": {"any_": kinds}}}
    return api.rows("/flow_runs/filter", {"flow_runs": body, "sort": "EXPECTED_START_TIME_ASC"})


def _deployment_names(api: Api) -> dict[str, str]:
    flows = {row["id"]: row["name"] for row in api.rows("/flows/filter")}
    return {row["id"]: f"{flows[row['flow_id']]}/{row['name']}" for row in api.rows("/deployments/filter")}


def _pool(api: Api, row: Row, due: list[Row], at_work: list[Row]) -> Pool:
    name = row["name"]
    waiting = sum(run["work_pool_name"] == name and run["state_type"] == "SCHEDULED" for run in due)
    return Pool.of(api, row, waiting, sum(run["work_pool_name"] == name for run in at_work))


def _why(run: Row, pools: Mapping[str, Pool], holders: Sequence[FlowRun]) -> str:
    pool = pools.get(run["work_pool_name"] or "")
    return reason(as_run(run), pool, [other for other in holders if pool and other.work_pool_name == pool.name])


def _line(run: Row, names: Mapping[str, str], why: str, at: datetime | None = None) -> RunLine:
    return RunLine(
        id=run["id"],
        name=run["name"],
        deployment=names.get(run["deployment_id"] or "", ""),
        state=run["state_name"],
        since=local(at or datetime.fromisoformat(run["state"]["timestamp"])),
        why=why,
    )


def _planned_for(run: Row) -> datetime:
    return datetime.fromisoformat(run["next_scheduled_start_time"] or run["expected_start_time"])
