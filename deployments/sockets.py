"""Sockets that take connections."""

from __future__ import annotations

import socket

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
