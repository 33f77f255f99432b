"""``wilss up``, ``wilss down`` and ``wilss status``."""

from __future__ import annotations

import sys

from flows.cli.options import NO_MACHINE_OPTIONS, Flag, Json, MachineOptions, Root
from flows.cli.printing import print_json, show
from flows.service import INSPECTOR_PORT, SERVER_PORT
from wilss.layout import default_root


def up(
    *,
    port: int = SERVER_PORT,
    inspector_port: int = INSPECTOR_PORT,
    database: str = "",
    keep_days: int = 30,
    auth: str = "",
    detach: Flag = False,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Start the service of a root folder: Prefect's server, its deployments, a worker a device, and the inspector.

    All of it listens on this machine alone, and ends with this command: Ctrl-C, or 'wilss down' from elsewhere.

    Args:
        port: of the server and its pages; 0 takes a free one
        inspector_port: of the inspector; 0 takes a free one
        database: postgresql+asyncpg://USER:PASSWORD@HOST/NAME, else WILSS_DATABASE, else a file below the root
        keep_days: how long finished runs, their logs and events are kept
        auth: USER:PASSWORD that the server asks for, else WILSS_AUTH, which no list of processes shows
        detach: return when everything answers, and leave it in the background
    """
    from deployments.service.starting import options_of, start

    given = {"port": port, "inspector_port": inspector_port, "keep_days": keep_days, "database": database, "auth": auth}
    start(options_of(machine.settings(), given), detach)


def down(*, root: Root = None) -> None:
    """End the service of a root folder, and wait until all of it is gone. What was at work goes on at the next 'up'."""
    from deployments.service.ending import end_service

    for line in end_service((root or default_root()).resolve()):
        show(line)


def status(*, root: Root = None, json: Json = False) -> None:
    """Say whether the service is up, what runs, what waits and why, what failed last, what comes next, and disk.

    Exit code 1 where no service is up.
    """
    from deployments.service.status import lines_of, status_of

    found = status_of((root or default_root()).resolve())
    if json:
        print_json(found.model_dump(mode="json"))
    else:
        for line in lines_of(found):
            show(line)
    if not found.up:
        sys.exit(1)
