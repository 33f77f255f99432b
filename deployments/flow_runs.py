"""Runs of flows as the server knows them: found by id, by its first digits or by name, and what they are doing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from flows.api import Api
from wilss.errors import ArtefactNotFoundError, FormatError, did_you_mean

LOOKED_AT = 200
"""Runs, the latest, among which the first digits of an id are looked for."""
SHORTEST = 4
"""First or last digits of an id."""
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
HOLDING = ("PENDING", "RUNNING", "CANCELLING")
"""Types of states in which a run holds a slot."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class State(_Answer):
    """State of a run. type: one of Prefect's nine; name: as people see it."""

    type: str
    name: str = ""
    message: str | None = None
    timestamp: AwareDatetime | None = None
    state_details: dict[str, Any] = {}

    @property
    def ended(self) -> bool:
        """Whether nothing comes after it."""
        return self.type in ENDED

    def time(self, detail: str) -> datetime | None:
        """A time among its details, such as ``pause_timeout``."""
        told = self.state_details.get(detail)
        try:
            return _Time(at=told).at if told else None
        except ValidationError:
            return None

    @property
    def sentence(self) -> str:
        """Its name, and what it says."""
        said = (self.message or "").strip()
        return f"{self.name.lower()}: {said}" if said else self.name.lower()


class _Time(_Answer):
    at: AwareDatetime


class By(_Answer):
    """Who made a run: type is SCHEDULE or AUTOMATION, or none."""

    type: str | None = None
    display_value: str | None = None


class FlowRun(_Answer):
    """A run of a flow."""

    id: str
    name: str = ""
    state: State | None = None
    tags: tuple[str, ...] = ()
    deployment_id: str | None = None
    work_pool_name: str | None = None
    created: AwareDatetime | None = None
    start_time: AwareDatetime | None = None
    expected_start_time: AwareDatetime | None = None
    auto_scheduled: bool | None = False
    run_count: int = 0
    created_by: By | None = None
    parameters: dict[str, Any] = Field({}, repr=False)

    @property
    def deadline(self) -> datetime | None:
        """Until when an answer is waited for; None where none is."""
        return self.state.time("pause_timeout") if self.state else None

    @property
    def started_by(self) -> str:
        """Which schedule, event or person began it, in words; "" where nobody said so."""
        by = self.created_by
        if by is not None and by.type == "SCHEDULE":
            return f"schedule {by.display_value or ''}".strip()
        if by is not None and by.type == "AUTOMATION":
            return f"event, as '{by.display_value or ''}' has it"
        return next((tag.removeprefix("started-by:") for tag in self.tags if tag.startswith("started-by:")), "")


def read_run(api: Api, run_id: str) -> FlowRun:
    """A run by its whole id. Raises ArtefactNotFoundError for one that is not there."""
    found = api.found(f"/flow_runs/{run_id}")
    if found is None:
        raise ArtefactNotFoundError(
            f"run {run_id} is not on the server at {api.url}; see which are with 'wilss status'"
        )
    return as_run(found)


def as_run(answer: Mapping[str, Any]) -> FlowRun:
    """A run as the server told it. Raises FormatError for an answer that is none."""
    try:
        return FlowRun.model_validate(answer)
    except ValidationError as error:
        raise FormatError(
            f"the server told a run that is none ({error.errors()[0]['msg']}); is it Prefect's?"
        ) from error


def list_runs(api: Api, limit: int = LOOKED_AT, sort: str = "START_TIME_DESC", **filters: Any) -> list[FlowRun]:
    """Runs, the latest first.

    Args:
        filters: of flow runs, as Prefect's API takes them: ``state={"type": {"any_": ["RUNNING"]}}``.
    """
    body = {"sort": sort, "limit": limit, "flow_runs": filters}
    return [as_run(answer) for answer in api.post("/flow_runs/filter", body)]


def find_run(api: Api, named: str = "") -> FlowRun:
    """A run by its id, by the first or last digits of it, or by its name; the last one that began for "".

    Raises ArtefactNotFoundError for none, and for digits that several have.
    """
    if not named:
        begun = (run for run in list_runs(api, 50, start_time={"is_null_": False}) if run.run_count)
        if (last := next(begun, None)) is not None:
            return last
        raise ArtefactNotFoundError("no run has begun yet; begin one with 'wilss trigger'")
    if found := list_runs(api, 1, name={"any_": [named]}):
        return found[0]
    runs = [*list_runs(api), *list_runs(api, state={"type": {"any_": ["SCHEDULED"]}}, sort="EXPECTED_START_TIME_ASC")]
    digits = named.lower()
    matching = {
        run.id: run
        for run in runs
        if len(digits) >= SHORTEST and (run.id.startswith(digits) or run.id.endswith(digits))
    }
    if len(matching) == 1:
        return next(iter(matching.values()))
    if matching:
        raise ArtefactNotFoundError(
            f"'{named}' is the beginning of {len(matching)} ids of runs; give more digits, or a name"
        )
    names = list(dict.fromkeys(run.name for run in runs))[:20]
    raise ArtefactNotFoundError(
        f"no run is called '{named:.100}'.{did_you_mean(named, names) if names else ' There is none yet.'}"
    )


def local_root(root: Path) -> str:
    """The option that names a root in a command to try next, "" for the usual one."""
    from wilss.layout import default_root

    return "" if root == default_root() else f" --root {root}"
