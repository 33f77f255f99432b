"""Who may ask a server of these pages for what: hosts, tokens, origins, sizes of bodies, and what pages may load."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlencode

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import RedirectResponse
from starlette.types import Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
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

    host: that it is bound to. names: further host names that it may be asked under. token: of this session.
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


class TooLargeError(Exception):
    """A body without a length, or with a wrong one, that does not end."""


def is_own_origin(headers: Headers) -> bool:
    """Whether an Origin header names the host that is asked; a proxy may speak TLS for us."""
    return headers.get("origin") in [f"{scheme}://{headers.get('host', '')}" for scheme in ("http", "https")]


def length_of(headers: Headers) -> int | None:
    """Bytes that a body is said to have, 0 where that is not told; None for what is no number."""
    told = headers.get("content-length", "0")
    return int(told) if told.isascii() and told.isdecimal() and len(told) <= 18 else None


def cookie_of(headers: Headers, name: str) -> str | None:
    """The value of a cookie."""
    cookie = SimpleCookie()
    try:
        cookie.load(headers.get("cookie", ""))
    except CookieError:
        return None
    return cookie[name].value if name in cookie else None


def with_cookie(scope: Scope, access: Access, cookie: str) -> RedirectResponse | None:
    """The answer to an address with the right token: the same address without it, and a cookie; None for another."""
    query = QueryParams(scope["query_string"])
    if not access.allows(query.get("token")):
        return None
    rest = urlencode([(key, value) for key, value in query.multi_items() if key != "token"])
    answer = RedirectResponse(scope["path"] + (f"?{rest}" if rest else ""), 303)
    answer.set_cookie(cookie, access.token, httponly=True, samesite="strict")
    return answer


def bounded(receive: Receive, most: int) -> Callable[[], Awaitable[Message]]:
    """The same body, read in portions; TooLargeError where it has more bytes."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise TooLargeError
        return message

    return bounded


def with_headers(send: Send, headers: Mapping[str, str]) -> Callable[[Message], Awaitable[None]]:
    """The same answer with these headers, which win over its own."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            found = MutableHeaders(scope=message)
            for name, value in headers.items():
                found[name] = value
        await send(message)

    return sending
