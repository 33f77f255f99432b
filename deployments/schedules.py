"""Schedules: runs of deployments at times that come, each with parameters of its own.

A schedule is on the server, and in ``<root>/service/schedules/NAME.json``: what its parameters name is kept by ``wilss
store gc``, and a server that lost it, or whose deployments were made again, gets it back (`restore`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from deployments.dates import When
from deployments.flow_runs import FlowRun, list_runs
from deployments.triggering import find_deployment, require_name
from flows.api import Api
from flows.service import service_folder
from stores.labels.review.scripts import user_name
from stores.locks import held
from stores.progress import say
from wilss.errors import ArtefactNotFoundError, FormatError, ServerRefusedError, SpecError, did_you_mean
from wilss.outputs import whole_file, writable_folder
from wilss.outside import checked, read_json

FOLDER = "schedules"
ADVICE = "remove it, and add the schedule again with 'wilss schedule add'"


class Schedule(BaseModel):
    """What runs when.

    deployment: name of the one of its kind that runs. title: for people. who, made: by whom, and when.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    kind: str
    deployment: str
    title: str
    when: When
    parameters: dict[str, Any] = {}
    active: bool = True
    who: str = ""
    made: str = ""


class Listed(BaseModel):
    """A schedule as it is now. on_server: whether the server has it. last: its last run that was due."""

    model_config = ConfigDict(frozen=True)

    schedule: Schedule
    on_server: bool
    last: FlowRun | None = None


def schedules_folder(root: Path) -> Path:
    """Where the schedules of a root are kept."""
    return service_folder(root) / FOLDER


def read_schedules(root: Path) -> list[Schedule]:
    """All schedules of a root, by name. Raises FormatError for a file that is damaged."""
    return [_read(path) for path in sorted(schedules_folder(root).glob("*.json"))]


def find_schedule(root: Path, name: str) -> Schedule:
    """A schedule by its name. Raises ArtefactNotFoundError that tells which there are."""
    path = _path(root, require_name(name, "schedule"))
    if path.is_file():
        return _read(path)
    names = [one.name for one in read_schedules(root)]
    known = did_you_mean(name, names) if names else " There is none yet."
    raise ArtefactNotFoundError(f"there is no schedule '{name}' in '{root}'.{known}")


def add(api: Api, root: Path, schedule: Schedule) -> Schedule:
    """Put a new schedule on the server and into its file.

    Raises SpecError for a name that is taken, ArtefactNotFoundError for a deployment that is not there.
    """
    require_name(schedule.name, "schedule")
    deployment = find_deployment(api, schedule.kind, schedule.deployment)
    writable_folder(schedules_folder(root))
    made = schedule.model_copy(update={"who": user_name(), "made": datetime.now(UTC).isoformat(timespec="seconds")})
    with held(_lock(root), None):
        if _path(root, schedule.name).is_file():
            raise SpecError(
                f"a schedule '{schedule.name}' is there already; give another --name, or remove it with "
                f"'wilss schedule rm {schedule.name}'"
            )
        _write(root, made)  # before the server has it: what it names must be kept
        try:
            _post(api, deployment, made)
        except BaseException:
            _path(root, schedule.name).unlink(missing_ok=True)
            raise
    return made


def set_active(api: Api, root: Path, name: str, active: bool) -> Schedule:
    """Pause a schedule, or let it go on; one that the server lost is put there again."""
    changed = find_schedule(root, name).model_copy(update={"active": active})
    with held(_lock(root), None):
        deployment = find_deployment(api, changed.kind, changed.deployment)
        if (there := _on_server(deployment, name)) is None:
            _post(api, deployment, changed)
        else:
            # Prefect empties the parameters of a schedule that is changed without them
            told = {"active": active, "parameters": changed.parameters}
            api.patch(f"/deployments/{deployment['id']}/schedules/{there['id']}", told)
            _plan(api, deployment)
        _write(root, changed)
    return changed


def remove(api: Api, root: Path, name: str) -> Schedule:
    """Take a schedule off the server, with the runs that it has planned, and remove its file."""
    schedule = find_schedule(root, name)
    with held(_lock(root), None):
        deployment = api.found(f"/deployments/name/{schedule.kind}/{schedule.deployment}")
        if deployment is not None and (there := _on_server(deployment, name)) is not None:
            try:
                api.delete(f"/deployments/{deployment['id']}/schedules/{there['id']}")
                _plan(api, deployment)
            except ServerRefusedError as error:
                if error.status != 404:
                    raise
        _path(root, name).unlink(missing_ok=True)
    return schedule


def restore(api: Api, root: Path) -> list[str]:
    """Put schedules back that the server lost, as it does when a deployment is made again; returns their names.

    What cannot be put back is told, and keeps nothing else from it.
    """
    restored: list[str] = []
    if not schedules_folder(root).is_dir():
        return restored
    with held(_lock(root), None):
        for path in sorted(schedules_folder(root).glob("*.json")):
            try:
                schedule = _read(path)
                deployment = api.found(f"/deployments/name/{schedule.kind}/{schedule.deployment}")
                if deployment is not None and _on_server(deployment, schedule.name) is None:
                    _post(api, deployment, schedule)
                    restored.append(schedule.name)
            except (FormatError, ServerRefusedError) as error:
                say(f"schedule {path.stem} is not put back: {error}")
    return restored


def listed(api: Api, root: Path) -> list[Listed]:
    """All schedules, with what the server says of each."""
    found = []
    for schedule in read_schedules(root):
        deployment = api.found(f"/deployments/name/{schedule.kind}/{schedule.deployment}")
        there = _on_server(deployment, schedule.name) if deployment is not None else None
        found.append(Listed(schedule=schedule, on_server=there is not None, last=_last_run(api, deployment, there)))
    return found


def _last_run(api: Api, deployment: Mapping[str, Any] | None, there: Mapping[str, Any] | None) -> FlowRun | None:
    """The last run of a schedule whose time has come."""
    if deployment is None or there is None:
        return None
    due = {"before_": datetime.now(UTC).isoformat()}
    runs = list_runs(
        api,
        20,
        "EXPECTED_START_TIME_DESC",
        deployment_id={"any_": [deployment["id"]]},
        expected_start_time=due,
        tags={"all_": ["auto-scheduled"]},
    )
    return next((run for run in runs if run.created_by and run.created_by.display_value == there["slug"]), None)


def _post(api: Api, deployment: Mapping[str, Any], schedule: Schedule) -> None:
    body = {
        "active": schedule.active,
        "schedule": schedule.when.posted,
        "parameters": schedule.parameters,
        "slug": schedule.name,
    }
    api.post(f"/deployments/{deployment['id']}/schedules", [body])
    _plan(api, deployment)


def _plan(api: Api, deployment: Mapping[str, Any]) -> None:
    """Have the runs of the next times planned now: the server does it once a minute, and a time sooner would pass.

    Changing a schedule also takes back what is planned of the deployment's other ones; planning twice plans once.
    """
    api.post(f"/deployments/{deployment['id']}/schedule")


def _on_server(deployment: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    found: Sequence[Mapping[str, Any]] = deployment.get("schedules") or ()
    return next((one for one in found if one.get("slug") == name), None)


def _path(root: Path, name: str) -> Path:
    return schedules_folder(root) / f"{name}.json"


def _lock(root: Path) -> Path:
    return schedules_folder(root) / ".lock"


def _read(path: Path) -> Schedule:
    return checked(Schedule, read_json(path, ADVICE), path, ADVICE)


def _write(root: Path, schedule: Schedule) -> None:
    with whole_file(_path(root, schedule.name)) as partial:
        partial.write_text(json.dumps(schedule.model_dump(mode="json"), indent=1), encoding="utf-8")
