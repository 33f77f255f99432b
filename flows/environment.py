"""Facts of this machine: environment variables, default folders, and how Prefect behaves here."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wilss.spec import Settings

# what Apple's GPU cannot do is done on the CPU; PyTorch reads it when it is imported, which comes later
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


def prepare_prefect(root: Path, verbose: bool = False) -> None:
    """Set Prefect's defaults for command-line use and start its server; call before Prefect is imported.

    Nothing is sent anywhere: SDK analytics obey DO_NOT_TRACK only, the server's have their own switch. Without
    PREFECT_API_URL flows run against a temporary server whose history is kept under the root folder.
    """
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
        from wilss.outputs import writable_folder

        home = Path(os.environ.get("PREFECT_HOME", root.resolve() / "prefect"))
        writable_folder(home)  # Prefect does not make parent folders, and then its server never starts
        defaults["PREFECT_HOME"] = str(home)
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    _start_temporary_server()


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


def default_root() -> Path:
    """``WILSS_ROOT``, else ``./wilss-data``."""
    return Path(os.environ.get("WILSS_ROOT", "wilss-data"))


def machine_settings(
    root: Path | None = None,
    data: Path | None = None,
    weights: Path | None = None,
    labels_csv: Path | None = None,
    skip_unreadable: bool = False,
    device: str | None = None,
    voc: Path | None = None,
    again: tuple[str, ...] = (),
) -> Settings:
    """Settings from arguments, else from ``WILSS_ROOT``, ``_DATA``, ``_VOC``, ``_WEIGHTS`` and ``_DEVICE``.

    Without any weights folder, one called ``weights`` inside or beside the data folder is used.
    """
    from wilss.spec import Settings

    data = data or _folder("WILSS_DATA")
    weights = weights or _folder("WILSS_WEIGHTS")
    if weights is None and data is not None:
        beside = (data / "weights", data.resolve().parent / "weights")
        weights = next((folder for folder in beside if folder.is_dir()), None)
    return Settings(
        root=root or default_root(),
        data=data,
        voc=voc or _folder("WILSS_VOC"),
        weights=weights,
        labels_csv=labels_csv,
        skip_unreadable=skip_unreadable,
        device=device or os.environ.get("WILSS_DEVICE", "auto"),
        again=again,
    )


def _folder(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None
