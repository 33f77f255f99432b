"""Following a run: its log as it grows, its states, and what it waits for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from deployments.catalogue import retries_of
from deployments.flow_runs import FlowRun, State, read_run
from deployments.waiting import why_waiting
from flows.api import Api
from wilss.errors import ServerNotFoundError

POLL = 1.0
"""Seconds between two looks."""
WAITS = 5.0
"""Seconds between two looks at what a run waits for."""
LATE = timedelta(seconds=15)
"""Lines come from several processes, each in its own rhythm."""
PATIENCE = 120.0
"""Seconds in which a server that went away may come back."""
TAKEN_UP = 30.0
"""Seconds in which the janitor, which looks every ten, takes up a run that crashed."""
KEPT_OUT = ("Not promoted", "Not approved")
"""Names of states of runs whose model the gate, or a person, did not let pass."""
LEVELS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}

LEFT = re.compile("(Report|Inspector|Gate): ")
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
"""Of Markdown."""

Show = Callable[[str], None]


@dataclass(frozen=True)
class Line:
    """A line of a log."""

    at: str
    level: int
    logger: str
    text: str
    task_run: str | None

    @property
    def words(self) -> str:
        """The line for people: time of the day, text; and its level where it is more than a word."""
        at = datetime.fromisoformat(self.at).astimezone()
        loud = f"{LEVELS.get(self.level, str(self.level))}: " if self.level >= 30 else ""
        return f"{at:%H:%M:%S} {loud}{self.text}"


@dataclass
class Log:
    """The log of a run, line by line, each once."""

    api: Api
    run_id: str
    _seen: set[str] = field(default_factory=set)
    _last: datetime | None = None

    def new(self) -> Iterator[Line]:
        """Lines that have come since the last look, in the order of their times."""
        after = self._last - LATE if self._last else None
        for told in self.api.rows("/logs/filter", self._asked(after)):
            if told["id"] not in self._seen:
                self._seen.add(told["id"])
                at = datetime.fromisoformat(told["timestamp"])
                self._last = max(self._last or at, at)
                yield Line(told["timestamp"], told["level"], told["name"], told["message"], told.get("task_run_id"))

    def _asked(self, after: datetime | None) -> dict[str, Any]:
        logs: dict[str, Any] = {"flow_run_id": {"any_": [self.run_id]}}
        if after is not None:
            logs["timestamp"] = {"after_": after.isoformat()}
        return {"logs": logs, "sort": "TIMESTAMP_ASC"}


def follow(api: Api, run_id: str, line: Callable[[Line], None], tell: Show, wait_for_answer: bool = True) -> FlowRun:
    """Tell lines, states and reasons of waiting until a run has ended; returns it, whose end is for the caller to tell.

    A server that goes away for a while is waited for.

    Args:
        wait_for_answer: False returns as well when it waits for somebody's answer.
    """
    log, last, reason, looked = Log(api, run_id), "", "", -WAITS
    while True:
        run = _patiently(lambda: read_run(api, run_id), tell)
        state = run.state or State(type="SCHEDULED", name="Scheduled")
        for one in _patiently(lambda: list(log.new()), tell):
            line(one)
        if state.type in ("SCHEDULED", "PENDING") and time.monotonic() - looked >= WAITS:
            looked = time.monotonic()
            if (told := _patiently(lambda: why_waiting(api, run), tell)) != reason:  # noqa: B023
                reason = told
                tell(f"{run.name} waits: {reason}")
        if state.sentence != last and state.type != "SCHEDULED" and not state.ended:
            last = state.sentence
            tell(f"{run.name} is {last}")
        if state.ended or (state.type == "PAUSED" and not wait_for_answer):
            _tell_rest(log, line, tell)
            if not _patiently(lambda: _is_taken_up(api, run, tell), tell):  # noqa: B023
                return run
        time.sleep(POLL)


def _is_taken_up(api: Api, run: FlowRun, tell: Show) -> bool:
    """Whether a run that crashed goes on: the service takes it up again under the same id, while it has retries."""
    if run.state is None or run.state.type != "CRASHED" or run.deployment_id is None:
        return False
    crashes = sum(state["type"] == "CRASHED" for state in api.get(f"/flow_run_states/?flow_run_id={run.id}"))
    if crashes > retries_of(run.tags):
        return False
    tell(f"{run.name} {run.state.sentence}; the service may take it up again")
    end = time.monotonic() + TAKEN_UP
    while time.monotonic() < end:
        time.sleep(POLL)
        if (now := read_run(api, run.id).state) is not None and now.type != "CRASHED":
            return True
    return False


def _tell_rest(log: Log, line: Callable[[Line], None], tell: Show) -> None:
    """The last lines of a log come a moment after the run has ended."""
    for _ in range(2):
        time.sleep(POLL)
        for one in _patiently(lambda: list(log.new()), tell):
            line(one)


def _patiently(ask: Callable[[], Any], tell: Show) -> Any:
    """An answer of a server that may be starting again; raises ServerNotFoundError after `PATIENCE`."""
    begun: float | None = None
    while True:
        try:
            return ask()
        except ServerNotFoundError:
            if begun is None:
                begun = time.monotonic()
                tell(f"the server does not answer; waiting up to {PATIENCE:.0f} s for it")
            if time.monotonic() - begun > PATIENCE:
                raise
            time.sleep(POLL)


def summary_of(api: Api, run_id: str) -> list[str]:
    """Where a run tells what it left: its report and the page of the inspector, as its summary has them."""
    asked = {"artifacts": {"flow_run_id": {"any_": [run_id]}, "type": {"any_": ["markdown"]}}, "sort": "ID_DESC"}
    texts = [str(one["data"]) for one in api.post("/artifacts/filter", {**asked, "limit": 5})]
    lines = [line for text in texts for line in text.splitlines() if LEFT.match(line)]
    return list(dict.fromkeys(LINK.sub(r"\1", line).replace("`", "") for line in lines))


def code_of(state: State) -> int:
    """Exit code of a command that waited: 0 completed, 1 failed, crashed or kept out, 3 cancelled, 4 waits."""
    if state.name in KEPT_OUT:
        return 1
    if state.type == "COMPLETED":
        return 0
    return {"CANCELLED": 3, "PAUSED": 4}.get(state.type, 1)
