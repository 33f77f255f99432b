"""The children of a service, as they are started: what runs, with which environment, in which folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deployments.service.children import Child
from deployments.service.janitor import worker_name
from deployments.service.options import UpOptions, client_environment, device_environment, server_environment


@dataclass(frozen=True)
class Crew:
    """Makes the children of one service; none is started.

    port: of the server. inspector_port: of the inspector.
    """

    options: UpOptions
    port: int
    inspector_port: int

    def server(self, number: int) -> Child:
        """Prefect's server on the open socket of that number."""
        home = self.options.home / "prefect"
        env = server_environment(self.options, self.port)
        return self._child("server", "deployments.service.serve", (str(number),), env, home, number)

    def registration(self, pools: Path) -> Child:
        """Registers pools and deployments, writes the names of the pools to a file, and ends."""
        return self._child("deployments", "deployments.service.register", (str(self.options.folder), str(pools)))

    def worker(self, pool: str) -> Child:
        """The worker of a pool: one run at a time, on the device that the pool is named after."""
        words = ("worker", "start", "--pool", pool, "--type", "process", "--limit", "1", "--name", worker_name(pool))
        env = {**client_environment(self.options, self.port), **device_environment(pool)}
        return self._child(f"worker-{pool.replace(':', '-')}", "prefect", words, env)

    def inspector(self) -> Child:
        """The pages over the root."""
        return self._child("inspector", "deployments.inspector", ("--port", str(self.inspector_port)))

    def _child(
        self,
        name: str,
        module: str,
        arguments: tuple[str, ...],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        number: int | None = None,
    ) -> Child:
        log = self.options.home / "logs" / f"{name}.log"
        env = env or client_environment(self.options, self.port)
        return Child(name, module, arguments, env, log, cwd or self.options.folder, number)
