"""Prefect's server as the command line needs it: named by PREFECT_API_URL, or a temporary one of this process."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

ROOM = 16_000_000
"""Bytes that the server's database and the first files of a run take: on a full disk it never starts."""


@contextmanager
def server_at_hand(root: Path, verbose: bool = False) -> Iterator[None]:
    """Set Prefect's defaults and start its server while the block imports the flows; Prefect is not imported before.

    Nothing is sent anywhere: SDK analytics obey DO_NOT_TRACK only, the server's have their own switch. Without
    PREFECT_API_URL flows run against a temporary server whose history is kept under the root folder.

    Raises SpecError for a root that cannot be written, ServerNotFoundError for a named server that does not answer.
    """
    _set_defaults(root, verbose)
    import prefect.client.orchestration
    import prefect.server.api.server  # noqa: F401  (here, as two threads that import the same get in each other's way)

    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(_start_temporary_server)
        yield
        started.result()


def _set_defaults(root: Path, verbose: bool) -> None:
    defaults = {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        # the first start migrates an empty database, which takes longer than the default on a busy machine
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        # flow logs, tracebacks included, go to the API; people get our own messages
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO" if verbose else "CRITICAL",
    }
    if "PREFECT_API_URL" not in os.environ:
        from wilss.outputs import require_room, writable_folder

        home = Path(os.environ.get("PREFECT_HOME", root.resolve() / "prefect"))
        writable_folder(home)  # Prefect does not make parent folders, and then its server never starts
        require_room(home, ROOM)
        defaults["PREFECT_HOME"] = str(home)
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _start_temporary_server() -> None:
    """Start it before any flow does, with Ctrl-C blocked, which the server inherits; nothing happens if one is named.

    A terminal sends Ctrl-C to all processes of a command: a server that dies with it leaves the flow retrying for
    minutes to report its own end. Raises ServerNotFoundError for one that is named and does not answer.
    """
    from prefect.client.orchestration import get_client

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with get_client(sync_client=True) as client:
            problem = client.api_healthcheck()
        if problem is not None:
            from wilss.errors import ServerNotFoundError

            url = str(client.api_url).rstrip("/")
            raise ServerNotFoundError(
                f"no Prefect server answers at {url} ({problem}); start it with 'prefect --no-prompt server start', or "
                "unset PREFECT_API_URL to run without one"
            )
        _end_server_with_this_process()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _end_server_with_this_process() -> None:
    """Have a shell wait for the end of this process and end the temporary server then, if there is one.

    Prefect does so in an exit handler, which a killed process never reaches; its server would live on.
    """
    from prefect.server.api.server import SubprocessASGIServer

    server = SubprocessASGIServer().server_process
    if server is None:
        return
    watch = subprocess.Popen(
        ["/bin/sh", "-c", f"read _; kill {server.pid}"],  # the read ends when no process holds the pipe's other end
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def dismiss() -> None:  # registered after Prefect's handler and so called before it
        watch.kill()
        watch.wait()

    atexit.register(dismiss)
