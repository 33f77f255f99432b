"""Ending a service from another process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from deployments.service.processes import is_alive
from flows.service import service_of
from stores.progress import say
from wilss.errors import ServerNotFoundError

SECONDS = 30.0
"""The service ends its processes within about ten seconds."""


def end_service(root: Path) -> Iterator[str]:
    """End the service of a root and wait until it is gone; yields lines for people.

    Raises ServerNotFoundError where it does not end, or is another user's.
    """
    found = service_of(root)
    if found is None:
        yield f"no service is up for '{root}'"
        return
    say(f"ending the service of '{root}', process {found.pid}")
    try:
        os.kill(found.pid, signal.SIGTERM)
    except PermissionError as error:
        raise ServerNotFoundError(f"process {found.pid} is another user's; end it as that user") from error
    deadline = time.monotonic() + SECONDS
    while is_alive(found.pid):
        if time.monotonic() > deadline:
            raise ServerNotFoundError(f"process {found.pid} does not end; end it with 'kill -9 {found.pid}'")
        time.sleep(0.1)
    yield f"ended: server {found.interface}, workers of {', '.join(found.pools)}, inspector {found.inspector}"
