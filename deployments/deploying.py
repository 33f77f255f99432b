"""Deployments of one's own on the server: made, updated, removed.

What their parameters name is kept by ``wilss store gc``, which asks no server: it reads
``<root>/service/deployments/NAME.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.catalogue import deploy
from deployments.own import FITTING, Own, changes, imports_of
from deployments.schedules import read_schedules, remove
from flows.api import Api
from flows.service import service_folder, service_of
from wilss.errors import ArtefactNotFoundError, SpecError, did_you_mean
from wilss.outputs import whole_file, writable_folder


@dataclass(frozen=True)
class Made:
    """A deployment after deploying. changed: what its parameters say now that they did not."""

    kind: str
    id: str
    new: bool
    changed: tuple[str, ...]


def chosen_pool(api: Api, root: Path, named: str | None) -> str:
    """The pool that takes the runs. Raises SpecError for one that the server does not have, or where it has none."""
    there = [str(pool["name"]) for pool in api.post("/work_pools/filter", {"limit": 200})]
    if named is not None:
        if named not in there:
            raise SpecError(f"there is no pool '{named:.60}'.{did_you_mean(named, there)}")
        return named
    service = service_of(root)
    known = [*(service.pools if service else ()), *there]
    if not known:
        raise SpecError(f"the server at {api.url} has no pool of workers; start the service with 'wilss up'")
    return known[0]


def deploy_own(api: Api, root: Path, own: Own, pool: str) -> Iterator[Made]:
    """Make or update the deployments, one after the other."""
    import flows.begin  # noqa: F401 (loads what WILSS_IMPORTS names)

    entries = own.entries()
    _keep(root, own.name, {entry.kind: entry.parameters for entry in entries})  # before a run can be triggered
    for entry in entries:
        path = f"/deployments/name/{entry.kind}/{entry.name}"
        before = api.found(path)
        deploy([entry], pool, api)
        now = api.get(path)
        if imports := imports_of(own.settings):
            variables = {**now.get("job_variables", {}), "env": {"WILSS_IMPORTS": imports}}
            api.patch(f"/deployments/{now['id']}", {"job_variables": variables})
        changed = changes(before["parameters"], now["parameters"]) if before else []
        yield Made(entry.kind, now["id"], before is None, tuple(changed))


def remove_own(api: Api, root: Path, name: str) -> Iterator[str]:
    """Remove all deployments of a name, their events and schedules; tells what, in words.

    Raises ArtefactNotFoundError where there is none.
    """
    found = api.post("/deployments/filter", {"deployments": {"name": {"any_": [name]}}, "limit": 200})
    kinds = {one["id"]: _kind(api, one["flow_id"]) for one in found}
    own = [one for one in found if kinds[one["id"]] in FITTING]
    if not own:
        raise ArtefactNotFoundError(f"nothing is deployed as '{name}'; see what is with 'wilss status'")
    for schedule in read_schedules(root):
        if schedule.deployment == name:
            remove(api, root, schedule.name)
            yield f"schedule {schedule.name} is removed"
    for one in own:
        api.delete(f"/automations/owned-by/prefect.deployment.{one['id']}")
        api.delete(f"/deployments/{one['id']}")
        yield f"{kinds[one['id']]}/{name} is removed"
    _kept(root, name).unlink(missing_ok=True)


def _kept(root: Path, name: str) -> Path:
    return service_folder(root) / "deployments" / f"{name}.json"


def _keep(root: Path, name: str, parameters: Mapping[str, Mapping[str, Any]]) -> None:
    """Note what the deployments name."""
    path = _kept(root, name)
    writable_folder(path.parent)
    with whole_file(path, shared=True) as partial:
        partial.write_text(json.dumps(parameters, indent=2))


def _kind(api: Api, flow_id: str) -> str:
    return str(api.get(f"/flows/{flow_id}")["name"])
