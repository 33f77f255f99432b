"""What ``wilss up`` was asked for, and the environments that it gives to its children."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from deployments.service.leash import STARTER
from flows.service import INSPECTOR_PORT, SERVER_PORT, service_folder
from flows.surroundings import DATABASE, spare_loopback
from wilss.errors import SpecError
from wilss.packages import python_path

VARIABLE = "WILSS_UP"
"""Holds the options for the process that `wilss up` becomes."""
SECRETS = {"database": "WILSS_DATABASE", "auth": "WILSS_AUTH"}
"""Options that may hold passwords, and their variables."""
LOOPBACK = "127.0.0.1"
KEEP_DAYS = 30
DROPPED = ("PREFECT_API_", "PREFECT__", "PREFECT_PROFILE", "PREFECT_HOME", "PREFECT_SERVER_API_")
"""Beginnings of variables of the caller that would lead a child to another server."""


class UpOptions(BaseModel):
    """Options of ``wilss up``.

    root: absolute. settings: facts of the machine as ``WILSS_*`` variables, paths absolute. database: address of a
    PostgreSQL database, "" for SQLite below the root. auth: "USER:PASSWORD" that the server asks for, "" for none.
    keep_days: how long finished runs, their logs and events are kept. folder: where it was started; runs work there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path
    folder: Path
    settings: dict[str, str] = {}
    port: int = Field(SERVER_PORT, ge=0, le=65535)
    inspector_port: int = Field(INSPECTOR_PORT, ge=0, le=65535)
    database: str = ""
    auth: str = ""
    keep_days: int = Field(KEEP_DAYS, ge=1, le=3650)

    @property
    def home(self) -> Path:
        """Folder of the service."""
        return service_folder(self.root)


def require_sound(options: UpOptions) -> UpOptions:
    """The same. Raises SpecError for a database or a password that no server takes."""
    if options.database:
        try:
            scheme = urlsplit(options.database).scheme
        except ValueError:
            scheme = ""
        if scheme not in ("postgresql", "postgresql+asyncpg"):
            raise SpecError(
                f"--database names a '{scheme}' database; give postgresql+asyncpg://USER:PASSWORD@HOST/NAME, or leave "
                "it out for a file below the root"
            )
    if options.auth and not all(options.auth.partition(":")):
        raise SpecError("--auth is not USER:PASSWORD; give both, with a colon between")
    return options


def common_environment(options: UpOptions) -> dict[str, str]:
    """What every child has: nothing of the caller's Prefect, all of its ``WILSS_*``, folders of the service."""
    spare_loopback()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
    for name in (VARIABLE, *SECRETS.values(), *DATABASE):
        kept.pop(name, None)
    own = {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_HOME": str(options.home / "prefect"),
        "PYTHONPATH": python_path(),
        "TMPDIR": str(options.home / "tmp"),
        STARTER: str(os.getpid()),
    }
    return {**kept, **options.settings, **own}


def server_environment(options: UpOptions, port: int) -> dict[str, str]:
    """Of the server: loopback, its interface, its database, and how long it keeps what is over."""
    seconds, days = str(options.keep_days * 86400), f"P{options.keep_days}D"
    own = {
        DATABASE[0]: _asynchronous(options.database) or "sqlite+aiosqlite:///prefect.db",
        "PREFECT__SERVER_FINAL": "1",
        "PREFECT_SERVER_API_HOST": LOOPBACK,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_UI_ENABLED": "true",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(options.home / "prefect" / "ui"),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # leases in files outlive the server, so that a run does not lose its slot when the server is replaced
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        # the janitor says what no answer means
        "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs,orphans",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": seconds,
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": days,
    }
    found = {"PREFECT_SERVER_UI_API_URL": f"http://{LOOPBACK}:{port}/api", "PREFECT_SERVER_LOGGING_LEVEL": "WARNING"}
    told = {name: os.environ.get(name, value) for name, value in found.items()}
    auth = {"PREFECT_SERVER_API_AUTH_STRING": options.auth} if options.auth else {}
    return {**common_environment(options), **told, **own, **auth}


def client_environment(options: UpOptions, port: int) -> dict[str, str]:
    """Of workers, runs, and whoever registers deployments."""
    own = {
        "PREFECT_API_URL": f"http://{LOOPBACK}:{port}/api",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_WORKER_HEARTBEAT_SECONDS": "3",
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(options.home / "prefect" / "results"),
    }
    auth = {"PREFECT_API_AUTH_STRING": options.auth} if options.auth else {}
    return {**common_environment(options), **own, **auth}


def device_environment(pool: str) -> dict[str, str]:
    """What makes a worker compute on the device that its pool is named after: "cpu", or "gpu:0"."""
    if not pool.startswith("gpu:"):
        return {"WILSS_DEVICE": pool} if pool == "cpu" else {}
    seen = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part]
    number = int(pool.removeprefix("gpu:"))
    return {"WILSS_DEVICE": "cuda", "CUDA_VISIBLE_DEVICES": seen[number] if number < len(seen) else str(number)}


def versions() -> tuple[str, str]:
    """Of this package and of Prefect, as they are installed."""
    return version("wilss"), version("prefect")


def _asynchronous(database: str) -> str:
    return database.replace("postgresql://", "postgresql+asyncpg://", 1)
