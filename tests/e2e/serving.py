"""A real service in a folder of its own: started by the command line, asked through its API, and looked after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deployments.service.processes import runs_alive
from flows.api import Api
from flows.service import Service, auth_of, service_of
from tests.pace import wait_for

CHECKOUT = Path(__file__).parents[2]
TINY = {"benchmark": "scenes-15-5", "preset": "tiny"}


@dataclass
class Serving:
    """A service of one root.

    folder: in which commands run, with nothing of the checkout. root: of artefacts. env: of commands.
    """

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        own = {"PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "TMPDIR": str(self.folder / "tmp")}
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT", "WILSS"))}
        self.env = {**kept, **own, **self.env}

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def wilss(self, *words: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-c", "from deployments.command import main; main()", *words]
        given = [] if "--root" in words else ["--root", str(self.root)]
        return subprocess.run(
            [*command, *given],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def up(self, *words: str) -> Service:
        ports = [] if "--port" in words else ["--port", "0", "--inspector-port", "0"]
        done = self.wilss("up", "--detach", *ports, *words)
        assert done.returncode == 0, done.stdout + done.stderr + self.logs()
        return self.service

    def down(self) -> str:
        done = self.wilss("down")
        assert done.returncode == 0, done.stdout + done.stderr + self.logs()
        return done.stdout

    @property
    def service(self) -> Service:
        found = service_of(self.root)
        assert found is not None, self.logs()
        return found

    @property
    def api(self) -> Api:
        return Api(self.service.api, auth=auth_of(self.root))

    def logs(self) -> str:
        """The end of every log, for messages of tests that failed."""
        logs = sorted((self.root / "service" / "logs").glob("*.log"))
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs)

    def trigger(self, name: str = "benchmark/default", **parameters: Any) -> str:
        """Make a run of a deployment; returns its id."""
        found = self.api.get(f"/deployments/name/{name}")
        body = {"parameters": parameters or {"spec": TINY}}
        run = self.api.post(f"/deployments/{found['id']}/create_flow_run", body)
        return str(run["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"/flow_runs/{run_id}")
        return found

    def finish(self, run_id: str, seconds: float = 400) -> dict[str, Any]:
        """The run when it has ended well; one that has crashed may be taken up again by the janitor."""
        crashed = 0.0

        def ended() -> dict[str, Any] | None:
            nonlocal crashed
            if (found := self.run(run_id))["state_type"] == "COMPLETED":
                return found
            crashed = (crashed or time.monotonic()) if found["state_type"] == "CRASHED" else 0.0
            given_up = found["state_type"] in ("FAILED", "CANCELLED") or (crashed and time.monotonic() - crashed > 25)
            assert not given_up, f"{found['state']}\n{self.logs()}"
            return None

        return wait_for(ended, seconds, f"the end of {run_id}", self.logs)

    def child(self, module: str) -> int:
        """Process id of the one child of the service that runs a module."""
        (pid,) = (pid for pid, parent, words in processes() if parent == self.service.pid and module in words)
        return pid

    @property
    def worker(self) -> int:
        return self.child("worker start")

    @property
    def server(self) -> int:
        return self.child("deployments.service.serve")

    def everything(self) -> list[int]:
        """All processes of the service, the supervisor first."""
        mark = str(self.root).encode()
        found = [pid for pid, _, _ in processes() if mark in environ_of(pid)]
        return sorted(found, key=lambda pid: pid != self.service.pid)

    def leftovers(self) -> list[str]:
        """Command lines of processes that have to do with this root still."""
        mark = str(self.root).encode()
        return [words for pid, _, words in processes() if pid != os.getpid() and mark in environ_of(pid)]

    def report(self) -> dict[str, Any]:
        """The one report there is."""
        (path,) = (self.root / "runs").glob("*/report.json")
        content: dict[str, Any] = json.loads(path.read_text())
        return content


@contextmanager
def serving(folder: Path, *words: str, **env: str) -> Iterator[Serving]:
    """A service that is up; whatever happens, it is ended."""
    found = Serving(folder, env)
    try:
        found.up(*words)
        yield found
    finally:
        if service_of(found.root):
            found.wilss("down")
        for pid, _, words_of in processes():
            if str(found.root) in words_of or str(found.root).encode() in environ_of(pid):
                kill(pid)


def processes() -> list[tuple[int, int, str]]:
    """(process id, its parent's, command line) of all that are alive."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if stat[0] != "Z":
                found.append((int(folder.name), int(stat[1]), words))
    return found


def environ_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def has_process(run_id: str) -> bool:
    return run_id in (runs_alive() or ())
