"""``python -m deployments.inspector``: what ``wilss inspect`` runs."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Annotated

import cyclopts
import uvicorn
from cyclopts import Parameter

from deployments.inspector.access import Access
from deployments.inspector.app import create_app
from deployments.inspector.desk import Desk
from deployments.inspector.lineage import Lineage
from deployments.inspector.pictures import Pictures
from deployments.sockets import listen
from flows.machine import machine_settings
from flows.service import INSPECTOR_PORT
from stores.labels.review.scripts import user_name
from wilss.errors import SpecError, WilssError

app = cyclopts.App(name="wilss inspect", help="Serve the inspector's pages.")


@app.default
def serve(
    *,
    root: Path | None = None,
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
    access = Access(host, (*name, *_own_names(host)))
    listening = _listening(host, port)
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


def _listening(host: str, port: int) -> socket.socket:
    """A socket that takes connections. Raises SpecError for an address that cannot be had."""
    try:
        return listen(host, port)
    except (OSError, OverflowError, UnicodeError) as error:  # of an address, a port, a name that there cannot be
        reason = getattr(error, "strerror", None) or error
        raise SpecError(
            f"{host}:{port} cannot be served ({reason}); choose another with --host and --port (0 to 65535)"
        ) from error


def _own_names(host: str) -> tuple[str, ...]:
    """Names that this machine is asked under when it serves others."""
    if Access(host).is_open:
        return ()
    own = socket.gethostname()
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(own, None)}
    except OSError:  # a machine whose own name nobody knows
        found = set()
    return (own, *sorted(found | _sending_address()))


def _sending_address() -> set[str]:
    """Where packets to other machines leave from: none is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation, which is nobody's
        except OSError:  # there is no network
            return set()
        return {str(probe.getsockname()[0])}


def _address(access: Access, port: int, path: str) -> str:
    everywhere = access.host in ("0.0.0.0", "::")
    host = next(iter(_sending_address()), access.host) if everywhere else access.host
    shown = f"[{host}]" if ":" in host else host
    token = "" if access.is_open else f"?token={access.token}"
    return f"wilss inspector: http://{shown}:{port}{path}{token}  (Ctrl-C ends it)"


def main() -> None:
    """Entry point of the process."""
    try:
        app(sys.argv[1:])
    except WilssError as error:
        print(f"wilss: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
