"""Sockets that take connections."""

from __future__ import annotations

import socket

from deployments.access import LOOPBACK
from wilss.errors import SpecError

BACKLOG = 2048
"""As uvicorn's."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on: who asks before its server is ready waits, and is not turned away.

    Args:
        port: 0 takes a free one.

    Raises OSError, OverflowError or UnicodeError for an address that cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # named TCP: of no other does asyncio send at once, and answers would wait 40 ms for the browser
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(BACKLOG)
    except (OSError, OverflowError, UnicodeError):
        found.close()
        raise
    return found


def require_listening(host: str, port: int) -> socket.socket:
    """The same. Raises SpecError, in one sentence, for an address that cannot be had."""
    try:
        return listen(host, port)
    except (OSError, OverflowError, UnicodeError) as error:  # of an address, a port, a name that there cannot be
        reason = getattr(error, "strerror", None) or error
        raise SpecError(
            f"{host}:{port} cannot be served ({reason}); choose another with --host and --port (0 to 65535)"
        ) from error


def own_names(host: str) -> tuple[str, ...]:
    """Names that this machine is asked under when it serves others; none for a host on loopback."""
    if host in (*LOOPBACK, "::1"):
        return ()
    own = socket.gethostname()
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(own, None)}
    except OSError:  # a machine whose own name nobody knows
        found = set()
    return (own, *sorted(found | _sending_address()))


def shown_address(host: str, port: int) -> str:
    """Where others ask a server of this machine, as an URL without a path."""
    shown = next(iter(_sending_address()), host) if host in ("0.0.0.0", "::") else host
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def _sending_address() -> set[str]:
    """Where packets to other machines leave from: none is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation, which is nobody's
        except OSError:  # there is no network
            return set()
        return {str(probe.getsockname()[0])}
