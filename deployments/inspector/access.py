"""Who may ask the inspector for what: every change needs the token, and off loopback every request does."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.access import (
    HEADERS,
    READING,
    Access,
    bounded,
    cookie_of,
    is_own_origin,
    length_of,
    with_cookie,
    with_headers,
)

MOST_BYTES = 4 << 20
"""Of a request's body."""
TOKEN_HEADER = "x-wilss-token"
COOKIE = "wilss-token"


class Guard:
    """ASGI middleware that holds every request against `Access` and puts `HEADERS` on every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        answer: ASGIApp = refusal if refusal is not None else self.app
        await answer(scope, bounded(receive, MOST_BYTES), with_headers(send, HEADERS))

    def _refusal(self, scope: Scope) -> Response | None:
        headers, access = Headers(scope=scope), self.access
        if not access.knows(headers.get("host", "")):
            return _refuse(421, "this server is not asked under that name; give it with --name")
        length = length_of(headers)
        if length is None or length > MOST_BYTES:
            return _refuse(413, f"a request has at most {MOST_BYTES} bytes")
        if scope["method"] not in READING:
            return self._refuse_change(headers)
        return None if access.is_open else self._refuse_stranger(scope, headers)

    def _refuse_change(self, headers: Headers) -> Response | None:
        if "origin" in headers and not is_own_origin(headers):
            return _refuse(403, "changes are taken from this server's own pages only")
        if not self.access.allows(headers.get(TOKEN_HEADER)):
            return _refuse(403, "the token of this session is missing or old; load the page again")
        return None

    def _refuse_stranger(self, scope: Scope, headers: Headers) -> Response | None:
        if (answer := with_cookie(scope, self.access, COOKIE)) is not None:
            return answer
        given = headers.get(TOKEN_HEADER) or cookie_of(headers, COOKIE)
        return None if self.access.allows(given) else _refuse(401, "open the address that the server printed")


def _refuse(status: int, why: str) -> Response:
    return PlainTextResponse(f"wilss: {why}\n", status)
