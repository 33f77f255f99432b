"""Who may ask the inspector for what: hosts, tokens, origins, sizes, and what pages may load."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlencode

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
MOST_BYTES = 4 << 20
"""Of a request's body."""
TOKEN_HEADER = "x-wilss-token"
COOKIE = "wilss-token"
READING = ("GET", "HEAD")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True)
class Access:
    """Rules of one server.

    host: that it is bound to. names: further host names that it may be asked under. token: of this session: every
    change needs it, and off loopback every request does.
    """

    host: str = "127.0.0.1"
    names: tuple[str, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def is_open(self) -> bool:
        """Whether reading needs no token: on loopback."""
        return self.host in (*LOOPBACK, "::1")

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server: another one may be a page of somebody else (DNS rebinding)."""
        name = HOST.fullmatch(host)
        own = {one.strip("[]").casefold() for one in (*LOOPBACK, self.host, *self.names)}
        return name is not None and name[1].strip("[]").casefold() in own

    def allows(self, given: str | None) -> bool:
        """Whether this is the token."""
        return given is not None and secrets.compare_digest(given.encode(), self.token.encode())


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
        await answer(scope, _bounded(receive), _with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        headers, access = Headers(scope=scope), self.access
        if not access.knows(headers.get("host", "")):
            return _refuse(421, "this server is not asked under that name; give it with --name")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 18 or int(length) > MOST_BYTES:
            return _refuse(413, f"a request has at most {MOST_BYTES} bytes")
        if scope["method"] not in READING:
            return self._refuse_change(scope, headers)
        return None if access.is_open else self._refuse_stranger(scope, headers)

    def _refuse_change(self, scope: Scope, headers: Headers) -> Response | None:
        origin = headers.get("origin")
        own = [f"{scheme}://{headers['host']}" for scheme in ("http", "https")]  # a proxy may speak TLS for us
        if origin is not None and origin not in own:
            return _refuse(403, "changes are taken from this server's own pages only")
        if not self.access.allows(headers.get(TOKEN_HEADER)):
            return _refuse(403, "the token of this session is missing or old; load the page again")
        return None

    def _refuse_stranger(self, scope: Scope, headers: Headers) -> Response | None:
        query = QueryParams(scope["query_string"])
        if self.access.allows(query.get("token")):
            rest = urlencode([(key, value) for key, value in query.multi_items() if key != "token"])
            answer = RedirectResponse(scope["path"] + (f"?{rest}" if rest else ""), 303)
            answer.set_cookie(COOKIE, self.access.token, httponly=True, samesite="strict")
            return answer
        given = headers.get(TOKEN_HEADER) or _cookie(headers)
        return None if self.access.allows(given) else _refuse(401, "open the address that the server printed")


def _cookie(headers: Headers) -> str | None:
    cookie = SimpleCookie()
    try:
        cookie.load(headers.get("cookie", ""))
    except CookieError:
        return None
    return cookie[COOKIE].value if COOKIE in cookie else None


def _refuse(status: int, why: str) -> Response:
    return PlainTextResponse(f"wilss: {why}\n", status)


class TooLargeError(Exception):
    """A body without a length, or with a wrong one, that does not end."""


def _bounded(receive: Receive) -> Callable[[], Awaitable[Message]]:
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MOST_BYTES:
            raise TooLargeError
        return message

    return bounded


def _with_headers(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return sending
