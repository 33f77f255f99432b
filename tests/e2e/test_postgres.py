"""The service on a PostgreSQL database: a real one, made for the test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.serving import Serving, serving
from tests.pace import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def program(name: str) -> str:
    """Where a program of PostgreSQL's is; packages put those of the server on no path."""
    found = shutil.which(name) or next((str(path) for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None)
    if found is None:
        pytest.skip(f"{name} of PostgreSQL is not installed")
    return found


@pytest.fixture
def database() -> Iterator[str]:
    """Address of an empty database, in a folder that another user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    command: tuple[str, ...] = ()
    if os.getuid() == 0:  # PostgreSQL does not run as root
        shutil.chown(folder, "postgres")
        command = ("runuser", "-u", "postgres", "--")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    made = [*command, program("initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", "wilss", "--no-sync"]
    subprocess.run(made, check=True, **quiet)  # type: ignore[call-overload]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    options = ["-p", port, "-c", "listen_addresses=127.0.0.1", "-k", str(folder)]
    server = subprocess.Popen([*command, program("postgres"), "-D", str(folder / "data"), *options], **quiet)  # type: ignore[call-overload]
    create = [program("createdb"), "-h", "127.0.0.1", "-p", port, "-U", "wilss", "prefect"]
    try:
        wait_for(lambda: subprocess.run(create, **quiet).returncode == 0, 60, "PostgreSQL")  # type: ignore[call-overload]
        yield f"postgresql://wilss@127.0.0.1:{port}/prefect"
    finally:
        subprocess.run([*command, program("pg_ctl"), "-D", str(folder / "data"), "stop", "-m", "fast"], **quiet)  # type: ignore[call-overload]
        server.wait(60)
        shutil.rmtree(folder)


def test_runs_and_schedules_are_kept_in_postgresql(database: str, tmp_path: Path) -> None:
    with serving(tmp_path, "--database", database) as service:
        service.finish(service.trigger())
        assert service.report()["metrics"]["all"] is not None
        added = service.wilss("schedule", "add", "gc", "--every", "1w", "--name", "weekly")
        assert added.returncode == 0, added.stderr
        assert not list((service.root / "service" / "prefect").glob("*.db"))
    again = Serving(tmp_path)
    again.up("--database", database)
    try:
        listed = again.wilss("schedule", "list")
        assert "weekly" in listed.stdout, listed.stdout + listed.stderr
        states = [run["state_type"] for run in again.api.post("/flow_runs/filter", {})]
        assert "COMPLETED" in states
    finally:
        again.down()
