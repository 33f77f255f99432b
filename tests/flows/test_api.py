"""Asking a server's API where connections break."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flows.api import Api
from wilss.errors import ServerNotFoundError

ANSWER = (
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\nConnection: close\r\n\r\n{"of": "it"}'
)


@contextmanager
def server(broken: int) -> Iterator[tuple[str, list[bytes]]]:
    """Address of one that resets so many connections before it answers; the requests that it has read."""
    seen: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            seen.append(connection.recv(4096))
            if len(seen) <= broken:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, no end
            else:
                connection.sendall(ANSWER)
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/api", seen
    listening.close()


@pytest.mark.parametrize("path", ["/flow_runs/1", "/flow_runs/filter"])
def test_a_question_whose_connection_breaks_is_asked_again(path: str) -> None:
    with server(broken=2) as (url, seen):
        api = Api(url)
        assert api.post(path) if path.endswith("filter") else api.get(path)
        assert len(seen) == 3


def test_what_changes_something_is_not_sent_twice() -> None:
    with server(broken=1) as (url, seen):
        with pytest.raises(ServerNotFoundError, match="no Prefect server answers at"):
            Api(url).post("/deployments/1/create_flow_run", {})
        assert len(seen) == 1


def test_a_server_that_breaks_every_connection_is_given_up() -> None:
    with server(broken=100) as (url, seen):
        with pytest.raises(ServerNotFoundError, match=r"reset by peer|disconnected"):
            Api(url).get("/flow_runs/1")
        assert len(seen) == 3
