"""``python -m deployments.serving OPTIONS``: what ``wilss serve`` becomes; OPTIONS is `Options.text`."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # loaded later, when signals are heard
    import socket

    from deployments.serving.gate import Gate, Rules
    from deployments.serving.options import Options
    from deployments.serving.work import Work

ENDED = "wilss serve: ended"
KEEP_ALIVE = 75
"""Seconds that an idle connection stays: longer than proxies keep theirs, who would meet one that was just closed."""


def serve(options: Options) -> None:
    """Serve until SIGTERM or Ctrl-C; prints the address. Raises WilssError where that cannot be."""
    from deployments.access import Access
    from deployments.serving.app import create_app
    from deployments.serving.gate import Rules
    from deployments.serving.metrics import Metrics
    from deployments.serving.models import Models
    from deployments.serving.options import given_token
    from deployments.serving.work import Work
    from deployments.sockets import require_listening

    token = given_token()
    listening = require_listening(options.host, options.port)
    metrics = Metrics()
    work = Work(options, metrics, Models(options.model, options.root, options.device, metrics.loaded))
    access = Access(options.host, options.names, token) if token else Access(options.host, options.names)
    rules = Rules(access, is_closed=token is not None or not access.is_open)
    line = _line(work, rules, listening.getsockname()[1], is_told=token is None)
    _run(create_app(work, rules), work, line, listening)


def _line(work: Work, rules: Rules, port: int, is_told: bool) -> str:
    """What is said when it is ready; a token that was made is in it."""
    from deployments.sockets import shown_address

    now, access = work.models.current, rules.access
    token = f"?token={access.token}" if rules.is_closed and is_told else ""
    name = f"{now.alias} ({now.digest[:12]})" if now.alias else now.digest[:12]
    return f"wilss serve: {shown_address(access.host, port)}/{token}  {name} on {now.model.device}  (Ctrl-C ends it)"


def _run(app: Gate, work: Work, line: str, listening: socket.socket) -> None:
    import uvicorn

    from deployments.serving.http import protocol

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            """Say when it answers."""
            await super().startup(sockets)
            print(line, flush=True)

    config = uvicorn.Config(
        app,
        http=protocol(lambda: work.models.current.digest),
        ws="none",
        log_level="error",  # what is no HTTP is told to who sent it
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(work.options.grace)),
    )
    _hear(_ended)  # uvicorn hears them itself, and raises them again when all is answered
    Server(config).run(sockets=[listening])


def _hear(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _end_now(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


def _ended(number: int, frame: FrameType | None) -> None:
    """All is answered already."""


def main() -> None:
    """Entry point of the process."""
    _hear(_end_now)
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged images; Python would keep each text for ever
    from deployments.serving.options import read_options
    from wilss.errors import WilssError
    from wilss.escapes import harmless

    try:
        serve(read_options(sys.argv[1]))
    except WilssError as error:
        print(f"wilss: {harmless(str(error))}", file=sys.stderr)
        sys.exit(2)
    print(ENDED, file=sys.stderr, flush=True)
    os._exit(0)  # a pass through the network that nobody waits for any more is not waited for


if __name__ == "__main__":
    main()
