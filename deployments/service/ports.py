"""Ports of this machine that nobody else has."""

from __future__ import annotations

import socket

from deployments.service.options import LOOPBACK
from deployments.sockets import listen
from wilss.errors import SpecError


def listening_socket(port: int, option: str) -> socket.socket:
    """A socket that takes connections on loopback; 0 takes a free port. Raises SpecError for a port in use.

    Args:
        option: that chooses another port.
    """
    try:
        return listen(LOOPBACK, port)
    except OSError as error:
        raise SpecError(
            f"port {port} cannot be used ({error.strerror}); end what listens there, or choose another with {option} "
            "(0 takes a free one)"
        ) from error


def free_port(port: int, option: str) -> int:
    """The same port, or a free one for 0. Raises SpecError for one in use."""
    with listening_socket(port, option) as found:
        return int(found.getsockname()[1])
