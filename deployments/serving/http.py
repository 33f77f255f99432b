"""uvicorn as it is, but for requests that are no HTTP: they are told so in JSON, as all others."""

from __future__ import annotations

import json
from collections.abc import Callable

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

SAID = "the request cannot be read as HTTP, or its headers are too long (64 KiB); send it again in another way"


def protocol(digest: Callable[[], str]) -> type[H11Protocol]:
    """The protocol of a server whose model has this digest."""

    class Protocol(H11Protocol):
        def send_400_response(self, msg: str) -> None:
            """Say so, unless an answer has begun; then the connection just ends."""
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                self._write(json.dumps({"detail": SAID}).encode())
            self.transport.close()

        def _write(self, content: bytes) -> None:
            told = {"content-type": "application/json", "content-length": str(len(content)), "connection": "close"}
            headers = [(name, value) for name, value in {**told, "x-wilss-model": digest()}.items()]
            for event in (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=content),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")

    return Protocol
