"""``wilss schedule``: runs at times that come."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App, Parameter

from deployments.catalogue import DEFAULT
from deployments.cli.kinds import add_kinds
from deployments.cli.wanted import Wanting
from flows.cli.options import Flag, RootFolder
from flows.cli.printing import print_json, print_table, show
from wilss.layout import default_root

if TYPE_CHECKING:
    from deployments.dates import When
    from deployments.schedules import Listed

schedule_app = App(name="schedule", help="Runs at times that come, on the service that 'wilss up' started.")
add_app = App(name="add", help="Add a schedule: a kind of run, its options, and --cron or --every.")
schedule_app.command(add_app)
DOC = """Schedule {does}.

The next three times are printed, and what happens where the clocks of the time zone change.
"""


@Parameter(name="*")
@dataclass(frozen=True)
class ScheduleOptions:
    """Options of every schedule."""

    cron: str | None = None
    "when, as minute hour day month weekday: '0 3 * * *' is every day at three"
    every: str | None = None
    "time between two runs in place of --cron: 30m, 6h, 1h30m, 1d, 2w"
    timezone: str | None = None
    "time zone of --cron, and of the times that are shown, such as Europe/Paris; this machine's when left out"
    first: str | None = None
    "first time of --every, such as 2026-11-30T03:00; one interval from now when left out"
    name: str | None = None
    "of the schedule; made of what runs when left out"
    deployment: str = DEFAULT
    "deployment that runs: default, or the name that 'wilss deploy' gave your own folder"


def _add(wanted: Wanting, options: ScheduleOptions) -> None:
    from flows.service import require_service

    asked = wanted.wanted(options.deployment)
    root = wanted.machine.service_root
    url = require_service(root)
    from deployments.dates import make_when
    from deployments.schedules import Schedule, add
    from flows.api import Api

    when = make_when(options.cron, options.every, options.timezone, options.first)
    name = options.name or re.sub("[^a-z0-9]+", "-", asked.title.lower()).strip("-")[:60]
    schedule = Schedule(
        name=name,
        kind=asked.kind,
        deployment=options.deployment,
        title=asked.title,
        when=when,
        parameters=dict(asked.parameters),
    )
    with Api(url) as api:
        made = add(api, root, schedule)
    show(f"schedule {made.name}: {made.title}, {when.words}")
    _show_times(when)


def _show_times(when: When) -> None:
    from deployments.dates import shown

    show(f"next: {', '.join(map(shown, when.times()))}")
    if note := when.note():
        show(note)


add_kinds(add_app, ScheduleOptions, _add, DOC)


@schedule_app.command(name="list")
def list_schedules(*, json: Flag = False, root: RootFolder = None) -> None:
    """List schedules: what runs when, the next three times, and how the last run ended.

    Args:
        json: print JSON
        root: of the service; WILSS_ROOT or ./wilss-data when left out
    """
    from flows.service import require_service

    root = root or default_root()
    url = require_service(root)
    from deployments.schedules import listed
    from flows.api import Api

    with Api(url) as api:
        found = listed(api, root)
    if json:
        print_json([_plain(one) for one in found])
        return
    print_table("schedules", ["name", "runs", "when", "next", "last run"], _rows(found), left=True)
    for note in dict.fromkeys(filter(None, (one.schedule.when.note() for one in found))):
        show(note)


def _rows(found: Sequence[Listed]) -> list[list[str]]:
    from deployments.dates import shown

    rows = []
    for one in found:
        times = "\n".join(map(shown, one.schedule.when.times())) if one.schedule.active else "paused"
        if not one.on_server:
            times = f"not on the server: 'wilss schedule resume {one.schedule.name}' puts it back"
        state = one.last.state if one.last else None
        last = f"{one.last.name}: {state.sentence}" if one.last and state else "none yet"
        rows.append([one.schedule.name, one.schedule.title, one.schedule.when.words, times, last])
    return rows


def _plain(one: Listed) -> dict[str, object]:
    times = [time.isoformat() for time in one.schedule.when.times()] if one.schedule.active else []
    last = one.last.model_dump(mode="json", include={"id", "name", "state"}) if one.last else None
    return {**one.schedule.model_dump(mode="json"), "on_server": one.on_server, "next": times, "last": last}


@schedule_app.command
def pause(name: str, *, root: RootFolder = None) -> None:
    """Let a schedule rest: runs that it has planned are taken back, one that runs goes on.

    Args:
        name: of the schedule
        root: of the service; WILSS_ROOT or ./wilss-data when left out
    """
    _set_active(name, False, root)
    show(f"schedule {name} rests; it goes on with 'wilss schedule resume {name}'")


@schedule_app.command
def resume(name: str, *, root: RootFolder = None) -> None:
    """Let a schedule go on that was paused, or that the server lost.

    Args:
        name: of the schedule
        root: of the service; WILSS_ROOT or ./wilss-data when left out
    """
    when = _set_active(name, True, root)
    show(f"schedule {name} goes on: {when.words}")
    _show_times(when)


def _set_active(name: str, active: bool, root: Path | None) -> When:
    from flows.service import require_service

    root = root or default_root()
    url = require_service(root)
    from deployments.schedules import set_active
    from flows.api import Api

    with Api(url) as api:
        return set_active(api, root, name, active).when


@schedule_app.command
def rm(name: str, *, root: RootFolder = None) -> None:
    """Remove a schedule and the runs that it has planned; what its runs made stays.

    Args:
        name: of the schedule
        root: of the service; WILSS_ROOT or ./wilss-data when left out
    """
    from flows.service import require_service

    root = root or default_root()
    url = require_service(root)
    from deployments.schedules import remove
    from flows.api import Api

    with Api(url) as api:
        show(f"schedule {remove(api, root, name).name} is removed")
