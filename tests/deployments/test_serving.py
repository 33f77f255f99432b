"""The sockets that servers listen at."""

from __future__ import annotations

import asyncio
import socket

import pytest

from deployments.sockets import require_listening
from wilss.errors import SpecError


def test_answers_are_sent_at_once() -> None:
    """Otherwise each one that is written in two parts waits some 40 ms for the other side."""

    async def accepted() -> int:
        seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            handle = writer.get_extra_info("socket")
            seen.set_result(handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = require_listening("127.0.0.1", 0)
        async with await asyncio.start_server(connected, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname()[:2])
            found = await asyncio.wait_for(seen, 10)
            writer.close()
        return found

    assert asyncio.run(accepted())


def test_an_address_that_is_taken_is_said() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(SpecError, match="choose another with --host and --port"),
    ):
        require_listening("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70000), ("127.0.0.1", -1), ("x" * 70, 0)])
def test_an_address_that_there_cannot_be_is_said(host: str, port: int) -> None:
    with pytest.raises(SpecError, match=r"cannot be served .*choose another with --host and --port"):
        require_listening(host, port)
