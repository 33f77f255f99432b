"""``python -m deployments.inspector``: what ``wilss inspect`` runs."""

from __future__ import annotations

import socket
import sys
from typing import Annotated

import cyclopts
import uvicorn
from cyclopts import Parameter

from deployments.access import Access
from deployments.inspector.app import create_app
from deployments.inspector.desk import Desk
from deployments.inspector.lineage import Lineage
from deployments.inspector.pictures import Pictures
from deployments.sockets import own_names, require_listening, shown_address
from flows.cli.options import RootFolder
from flows.machine import machine_settings
from flows.service import INSPECTOR_PORT
from stores.labels.review.scripts import user_name
from wilss.errors import SpecError, WilssError

app = cyclopts.App(name="wilss inspect", help="Serve the inspector's pages.")


@app.default
def serve(
    *,
    root: RootFolder = None,
    host: str = "127.0.0.1",
    port: int = INSPECTOR_PORT,
    name: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True)] = (),
    who: str | None = None,
    label_set: str = "",
) -> None:
    """Serve until Ctrl-C; prints the address."""
    settings = machine_settings(root=root)
    if not settings.root.is_dir():
        raise SpecError(f"there is no folder '{settings.root}'; run a benchmark first, or name another with --root")
    access = Access(host, (*name, *own_names(host)))
    listening = require_listening(host, port)
    bound = listening.getsockname()[1]
    desk = Desk(settings.root, access, Pictures(settings), who or user_name(), Lineage(settings.root))
    print(_address(access, bound, f"/labels/{label_set}" if label_set else "/"), flush=True)
    config = uvicorn.Config(create_app(desk), log_level="warning", server_header=False, timeout_graceful_shutdown=2)
    _Server(config, desk).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Does not wait for pictures when it ends."""

    def __init__(self, config: uvicorn.Config, desk: Desk) -> None:
        super().__init__(config)
        self.desk = desk

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is waited for, then end."""
        self.desk.pictures.end()
        await super().shutdown(sockets)


def _address(access: Access, port: int, path: str) -> str:
    token = "" if access.is_open else f"?token={access.token}"
    return f"wilss inspector: {shown_address(access.host, port)}{path}{token}  (Ctrl-C ends it)"


def main() -> None:
    """Entry point of the process."""
    try:
        app(sys.argv[1:])
    except WilssError as error:
        print(f"wilss: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
