"""What ``wilss up`` is: it starts server, workers and inspector, keeps them up, and ends them all."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from types import FrameType

from deployments.service.children import Child, bound_log, end_all, why
from deployments.service.crew import Crew
from deployments.service.janitor import Janitor, worker_name
from deployments.service.log import ServiceLog
from deployments.service.options import LOOPBACK, UpOptions, versions
from deployments.service.ports import free_port, listening_socket
from deployments.waiting import is_online
from flows.api import Api
from flows.service import AUTH, CARD, LOCK, Service
from stores.locks import held_now
from wilss.errors import ServerNotFoundError, SpecError
from wilss.outputs import require_room, whole_file, writable_folder
from wilss.outside import read_json

START_SECONDS = 180.0
"""The first start makes the database and loads everything, which takes long on a busy machine."""
ROOM = 64_000_000
"""Bytes that the database and the logs of a first day take."""
PATIENCE = 3.0
"""Seconds in which the lock may be held by somebody who only looks."""
POOLS = "pools.json"
LOOK = 0.25
SWEEP = 10.0
"""Seconds between two rounds of the janitor."""
GENTLE, AFTER = 3.0, 3.0
"""Seconds that workers, and after them server and inspector, have to end by themselves."""


class Supervisor:
    """The processes of one service, from start to end.

    Args:
        options: as asked for.
    """

    def __init__(self, options: UpOptions) -> None:
        self.options, self.home = options, options.home
        self.ending = threading.Event()
        self.workers: dict[str, Child] = {}
        self.others: list[Child] = []

    def run(self) -> None:
        """Hold the service up until a signal. Raises WilssError where it cannot be started, or does not stay up."""
        writable_folder(self.home / "logs")
        require_room(self.home, ROOM)
        with ExitStack() as stack:
            if not self._hold_lock(stack):
                raise SpecError(f"another 'wilss up' is starting the service of '{self.options.root}'; wait for it")
            self.log = ServiceLog(self.home / "logs" / "service.log")
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, self._heard)
            self._prepare(stack)
            stack.callback(self._end)  # before what it uses is closed
            self._start()
            if not self.ending.is_set():
                self._tell()
                self._stay()

    def _hold_lock(self, stack: ExitStack) -> bool:
        deadline = time.monotonic() + PATIENCE
        while not stack.enter_context(held_now(self.home / LOCK)):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.ending.set()

    def _prepare(self, stack: ExitStack) -> None:
        """Folders that are empty at the beginning, and ports that are ours."""
        self._forget()
        for name in ("tmp", "prefect"):
            writable_folder(self.home / name)
        self.socket = stack.enter_context(listening_socket(self.options.port, "--port"))
        port = int(self.socket.getsockname()[1])
        self.crew = Crew(self.options, port, free_port(self.options.inspector_port, "--inspector-port"))
        self.api = Api(f"http://{LOOPBACK}:{port}/api", auth=self.options.auth)
        stack.callback(self.api.close)
        self.janitor = Janitor(self.api, self.log, self._since)

    def _since(self) -> dict[str, float]:
        """Pool -> when its worker was started."""
        return {pool: worker.started for pool, worker in self.workers.items()}

    def _start(self) -> None:
        """Server and registration side by side, then the janitor, then workers and inspector."""
        server = self._begin(self.crew.server(self.socket.fileno()))
        pools = self._registered(server)
        self.workers = {pool: self.crew.worker(pool) for pool in pools}
        if self.ending.is_set():
            return
        self.janitor.round()
        for worker in self.workers.values():
            worker.start()
        inspector = self._begin(self.crew.inspector())
        self._wait_for(lambda: _takes_connections(self.crew.inspector_port), "the inspector", inspector)
        self._wait_for(self._workers_are_there, "the workers", *self.workers.values())

    def _begin(self, child: Child) -> Child:
        self.others.append(child)
        child.start()
        return child

    def _registered(self, server: Child) -> tuple[str, ...]:
        """Names of the pools, once they and the deployments are registered."""
        register = self._begin(self.crew.registration(self.home / POOLS))
        self._wait_for(self.api.answers, "the server", server)
        self.log.say("the server answers; deployments are registered")
        self._wait_for(lambda: register.code is not None, "the registration of deployments", server)
        if self.ending.is_set():
            return ()
        if register.code:
            raise ServerNotFoundError(
                f"the deployments cannot be registered ({register.tail(1)}); the log is '{register.log}'"
            )
        self.others.remove(register)
        return tuple(read_json(self.home / POOLS, "run 'wilss up' again"))

    def _wait_for(self, done: Callable[[], bool], what: str, *needed: Child) -> None:
        """Raises ServerNotFoundError when a process that is needed ends, or all takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while not self.ending.is_set() and not done():
            for child in needed:
                if child.code is not None:
                    raise ServerNotFoundError(f"{what} ended at once ({why(child)}); its log is '{child.log}'")
            if time.monotonic() > deadline:
                raise ServerNotFoundError(f"waited {START_SECONDS:.0f} s for {what}; look into '{self.home / 'logs'}'")
            time.sleep(LOOK)

    def _workers_are_there(self) -> bool:
        for pool in self.workers:
            found = self.api.post(f"/work_pools/{pool}/workers/filter")
            if not any(one["name"] == worker_name(pool) and is_online(one) for one in found):
                return False
        return True

    def _tell(self) -> None:
        """Say where everything is, to other commands and to people."""
        wilss, prefect = versions()
        base = f"http://{LOOPBACK}:{self.crew.port}"
        card = Service(
            pid=os.getpid(),
            root=self.options.root,
            api=f"{base}/api",
            interface=base,
            inspector=f"http://{LOOPBACK}:{self.crew.inspector_port}",
            pools=tuple(self.workers),
            started=datetime.now().astimezone().isoformat(timespec="seconds"),
            wilss=wilss,
            prefect=prefect,
        )
        if self.options.auth:
            with whole_file(self.home / AUTH) as path:
                path.touch(mode=0o600)
                path.write_text(self.options.auth)
        with whole_file(self.home / CARD) as path:
            path.write_text(card.model_dump_json(indent=1))
        self.log.say(f"up: {base}, pools {', '.join(self.workers)}")
        print(card.addresses, flush=True)

    def _stay(self) -> None:
        """Start again what ended, and let the janitor look, until a signal."""
        rounds = threading.Thread(target=self._janitor_rounds, daemon=True)
        rounds.start()
        while not self.ending.wait(LOOK):
            for child in (*self.others, *self.workers.values()):
                if child.code is not None:
                    self._start_again(child)
            for log in (self.home / "logs").glob("*.log"):
                bound_log(log)
        rounds.join(GENTLE)

    def _start_again(self, child: Child) -> None:
        if not child.may_start_again():
            raise ServerNotFoundError(f"{child.name} ends again and again ({why(child)}); its log is '{child.log}'")
        self.log.say(f"{child.name} has ended ({why(child)}); it is started again")
        child.start()

    def _janitor_rounds(self) -> None:
        while not self.ending.wait(SWEEP):
            self.janitor.round()

    def _end(self) -> None:
        """Workers first, so that what they were cut off from can be put back for the next time."""
        self.ending.set()
        end_all([*self.workers.values()], GENTLE)
        if self.workers:
            self.janitor.put_back()
        end_all(self.others, AFTER)
        self._forget()
        self.log.say("down")

    def _forget(self) -> None:
        """Remove what is there only while the service is up."""
        for name in (CARD, AUTH):
            (self.home / name).unlink(missing_ok=True)
        shutil.rmtree(self.home / "tmp", ignore_errors=True)


def _takes_connections(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
