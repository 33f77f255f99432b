"""Prefect's server as the command line needs it: named by PREFECT_API_URL, or a temporary one of this process."""

from __future__ import annotations

import atexit
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from filelock import FileLock

from flows.surroundings import database_of_home, named_server, no_server, prefect_home, prepare_prefect, spare_loopback
from stores.progress import say
from wilss.errors import ServerNotFoundError
from wilss.outputs import require_room

ROOM = 16_000_000
"""Bytes that the server's database and the first files of a run take: on a full disk it never starts."""
START_SECONDS = 180
"""The first start makes the database, which takes long on a busy machine."""
STOP_SECONDS = 5
RESTARTS = 3
SCRIPT = Path(__file__).with_name("temporary_server.py")


@contextmanager
def server_at_hand(root: Path, verbose: bool = False) -> Iterator[None]:
    """Have a Prefect server ready when the block, which imports the flows, ends; Prefect is not imported before.

    Without PREFECT_API_URL flows run against a temporary server whose history is kept under the root folder. It starts
    while the block imports, and ends with this process.

    Raises SpecError for a root that cannot be written, ServerNotFoundError for a named server that does not answer and
    for a temporary one that does not start.
    """
    for told in spare_loopback():
        say(told)
    prepare_prefect(verbose)
    if url := named_server():
        yield
        _require_answer(url)
        return
    home = prefect_home(root)
    require_room(home, ROOM)
    with FileLock(home / ".starting.lock") if _is_new(home) else nullcontext():
        server = TemporaryServer(home)
        os.environ["PREFECT_API_URL"] = server.url
        yield
        server.wait_until_it_answers()
    server.keep_up()


def _require_answer(url: str) -> None:
    """Raise ServerNotFoundError where something listens, and is no Prefect server."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True, httpx_settings={"timeout": 10}) as client:
        if (problem := client.api_healthcheck()) is not None:
            raise no_server(url, str(problem))


class TemporaryServer:
    """A Prefect server on a free port, in a session of its own: no signal to this process's group reaches it.

    This process holds the listening socket, so that a server that was killed can be replaced at the same address, and
    one end of a pipe, which tells the server that this process has ended, however it did.

    Args:
        home: folder of its database.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port = int(self._socket.getsockname()[1])
        self._ending = False
        self._process = self._start()
        atexit.register(self.stop)  # before Prefect's own handlers, so that it is called after them

    @property
    def url(self) -> str:
        """Address of its API."""
        return f"http://127.0.0.1:{self.port}/api"

    def _start(self) -> subprocess.Popen[bytes]:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the server)
        own = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
        env = {**os.environ, **own, **database_of_home()}
        for name in ("PREFECT_API_URL", "PREFECT_SERVER_API_BASE_PATH"):
            env.pop(name, None)
        number = self._socket.fileno()
        return subprocess.Popen(
            [sys.executable, "-P", str(SCRIPT), str(number), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            cwd=self._home,
            env=env,
            pass_fds=(number,),
            start_new_session=True,
        )

    def wait_until_it_answers(self) -> None:
        """Raise ServerNotFoundError when it ends, or does not answer in time; one that ends is started once more."""
        deadline, again = time.monotonic() + START_SECONDS, True
        while not self._answers():
            if self._process.poll() is not None and again:  # two that made one database got in each other's way
                again, self._process = False, self._start()
            elif self._process.poll() is not None or time.monotonic() > deadline:
                raise ServerNotFoundError(self._why())
            time.sleep(0.05)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", "/api/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _why(self) -> str:
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - 4096))
        lines = self._log.read().decode(errors="replace").strip().splitlines() or ["it does not answer"]
        return (
            f"Prefect's temporary server does not start ({lines[-1]:.300}); is '{self._home}' damaged or full? It "
            "holds nothing but the history of runs and may be moved away; or name a server with PREFECT_API_URL"
        )

    def keep_up(self) -> None:
        """Replace it when it is killed, as the run can go on: clients try again for a while."""
        threading.Thread(target=self._replace, daemon=True).start()

    def _replace(self) -> None:
        for _ in range(RESTARTS):
            self._process.wait()
            if self._ending:
                return
            say("Prefect's temporary server has ended, somebody may have killed it; another takes its place")
            self._process = self._start()
        self._process.wait()
        if not self._ending:
            say(f"Prefect's temporary server ended {RESTARTS + 1} times; this command ends too")
            os.kill(os.getpid(), signal.SIGTERM)

    def stop(self) -> None:
        """Let it write what it has and end."""
        self._ending = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _is_new(home: Path) -> bool:
    return not (home / "prefect.db").is_file()
