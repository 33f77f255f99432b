"""A real server of the inspector over a small run, and a browser at it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def wilss(*arguments: object) -> str:
    """Run a command; what it printed. Fails with what it said."""
    command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, text=True, capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass
class Server:
    """A server in a process of its own."""

    root: Path
    process: subprocess.Popen[str]
    address: str

    def kill(self) -> None:
        """End it as a power cut does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


@contextmanager
def served(root: Path, *options: str, port: int = 0) -> Iterator[Server]:
    """A server that listens."""
    server = start(root, *options, port=port)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


def start(root: Path, *options: str, port: int = 0) -> Server:
    """Start a server and wait for its address."""
    command = [sys.executable, "-m", "flows.cli", "inspect", "--root", str(root), "--port", str(port), *options]
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, text=True, start_new_session=True, **streams)
    assert process.stdout is not None
    first = process.stdout.readline()
    found = re.search(r"http://[^/ ]+", first)
    assert found, first + process.stdout.read()
    return Server(root, process, found[0])


@dataclass
class Watched:
    """A page of the browser, and all that must not happen on it: errors, warnings, requests to other hosts."""

    page: Any
    address: str
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))
        self.page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        expected = "404" in message.text and "/pictures/" in str(message.location)  # truth that is not known
        if message.type in ("error", "warning") and not expected:
            self.wrong.append(f"{message.type}: {message.text} {message.location}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.wrong.append(f"request: {request.url}")

    def open(self, path: str) -> None:
        """Go to a page of the server and wait until it is loaded."""
        self.page.goto(self.address + path, wait_until="networkidle")

    def ready(self) -> None:
        """Wait until the page's scripts listen: they show its tools then."""
        self.page.wait_for_load_state("load")
        self.page.wait_for_selector("#tools:not([hidden])")

    def editor(self) -> dict[str, float]:
        """Open the editor on the image's first row and wait until it can be drawn on; its stage's box."""
        self.page.keyboard.press("e")
        self.page.wait_for_selector('#editor .editor-stage[aria-busy="false"]')
        box: dict[str, float] = self.page.locator("#editor .editor-stage").bounding_box()
        return box

    def saved(self, act: Any, path: str = "/api/") -> dict[str, Any]:
        """Do something that changes the server; its answer."""

        def posted(answer: Any) -> bool:
            return answer.request.method == "POST" and path in answer.url

        with self.page.expect_response(posted) as told:
            act()
        content: dict[str, Any] = told.value.json()
        return content
