"""What ``wilss status`` says: what runs, what waits and why, what failed last, what comes next, and disk."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from deployments.service.options import versions
from deployments.service.overview import Overview, RunLine, look
from deployments.waiting import Pool
from flows.api import Api
from flows.service import Service, auth_of, service_of, version_problem
from stores.usage import usage


class Status(BaseModel):
    """How a service stands.

    problem: that commands cannot talk to it, "" for none. disk: kind -> how many, bytes.
    """

    up: bool
    root: Path
    wilss: str
    prefect: str
    problem: str = ""
    service: Service | None = None
    pools: tuple[Pool, ...] = ()
    running: tuple[RunLine, ...] = ()
    waiting: tuple[RunLine, ...] = ()
    planned: tuple[RunLine, ...] = ()
    failed: tuple[RunLine, ...] = ()
    disk: dict[str, tuple[int, int]] = {}


def status_of(root: Path) -> Status:
    """Look at the service of a root. Raises ServerNotFoundError where it is up and does not answer."""
    found = service_of(root)
    wilss, prefect = versions()
    disk = usage(root).kinds if root.is_dir() else {}
    told = {"up": found is not None, "root": root, "wilss": wilss, "prefect": prefect, "service": found, "disk": disk}
    if found is None:
        return Status.model_validate(told)
    with Api(found.api, auth=auth_of(root)) as api:
        overview: Overview = look(api, datetime.now(UTC))
    return Status.model_validate({**told, **vars(overview), "problem": version_problem(found)})


def lines_of(status: Status) -> list[str]:
    """The same for people."""
    service = status.service
    if service is None:
        return [f"no service is up for '{status.root}'; start it with 'wilss up'", *_disk(status)]
    lines = [
        f"up since {service.started}, process {service.pid}, wilss {service.wilss}, Prefect {service.prefect}",
        *service.addresses.splitlines(),
    ]
    lines += [status.problem] if status.problem else []
    lines += [f"pool {pool.sentence}" for pool in status.pools]
    for title, runs in (("runs", status.running), ("waits", status.waiting), ("next", status.planned)):
        lines += [f"{title}: {run.sentence}" for run in runs] or [f"{title}: nothing"]
    lines += [f"ended badly: {run.sentence}" for run in status.failed]
    return lines + _disk(status)


def _disk(status: Status) -> list[str]:
    if not status.disk:
        return []
    total = sum(size for _, size in status.disk.values())
    parts = ", ".join(f"{kind} {size / 1e6:.1f}" for kind, (_, size) in status.disk.items() if size)
    return [f"disk: {total / 1e6:.1f} MB" + (f" ({parts})" if parts else "")]
