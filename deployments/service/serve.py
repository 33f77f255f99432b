"""Prefect's server on a socket that `wilss up` holds; the argument is its number. Run under the leash."""

from __future__ import annotations

import os
import socket
import sys


def main(listening: int) -> None:
    """Serve until SIGTERM."""
    import uvicorn

    config = uvicorn.Config(
        "prefect.server.api.server:create_app",
        factory=True,
        log_level="error",
        lifespan="on",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[socket.socket(fileno=listening)])
    if not server.started:
        sys.exit(3)
    os._exit(0)  # its background threads need not be waited for: what they write is in the database


if __name__ == "__main__":
    main(int(sys.argv[1]))
