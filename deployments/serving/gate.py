"""The first and last to see a request: who may ask, what is counted, and headers that every answer has."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
from deployments.serving.metrics import OTHER
from deployments.serving.problems import problem
from deployments.serving.work import Work

COOKIE = "wilss-serve-token"
MODEL_HEADER = "x-wilss-model"
PATHS = ("/", "/predict", "/model", "/healthz", "/metrics", "/openapi.json", "/style/{name}")
ENDING = "the server is being ended, and had no time for this request; ask again"
OWN = {**HEADERS, "referrer-policy": "same-origin"}
"""A form that is sent without a referrer says that it comes from nowhere."""


@dataclass(frozen=True)
class Rules:
    """Who may ask. is_closed: every request needs the token."""

    access: Access
    is_closed: bool

    def allows(self, scope: Scope, headers: Headers) -> bool:
        """Whether a request may pass: with the token as a Bearer, or with the cookie of a browser that had it."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.casefold() == "bearer":
            return self.access.allows(given.strip())
        of_own_page = scope["method"] in READING or is_own_origin(headers)
        return of_own_page and self.access.allows(cookie_of(headers, COOKIE))


class Gate:
    """ASGI middleware around the application."""

    def __init__(self, app: ASGIApp, rules: Rules, work: Work) -> None:
        self.app, self.rules, self.work = app, rules, work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse, and count it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if all(name != MODEL_HEADER.encode() for name, _ in message["headers"]):
                    message["headers"].append((MODEL_HEADER.encode(), self.work.models.current.digest.encode()))
            await send(message)

        answer: ASGIApp = self._refusal(scope) or self.app
        reading, telling = bounded(receive, self.work.options.max_bytes), with_headers(sending, OWN)
        try:
            await answer(scope, reading, telling)
        except asyncio.CancelledError:  # the time that requests have at the end is over
            await problem(Request(scope), 503, ENDING, {"retry-after": "5"})(scope, reading, telling)
        finally:
            self.work.metrics.answered(_path_of(scope), status, time.perf_counter() - started)

    def _refusal(self, scope: Scope) -> Response | None:
        request, access, most = Request(scope), self.rules.access, self.work.options.max_bytes
        headers, length = request.headers, length_of(request.headers)
        if access.is_open and not access.knows(headers.get("host", "")):
            return problem(request, 421, "this server is not asked under that name; give it with --name")
        if scope["method"] not in READING and "origin" in headers and not is_own_origin(headers):
            return problem(request, 403, "images are taken from this server's own page, and from programs")
        if self.rules.is_closed and not self.rules.allows(scope, headers):
            return self._refuse_stranger(request)
        if length is None or length > most:
            return problem(request, 413, f"a request has at most {most} bytes; send a smaller image, or fewer")
        return None

    def _refuse_stranger(self, request: Request) -> Response:
        if request.method in READING and (answer := with_cookie(request.scope, self.rules.access, COOKIE)) is not None:
            return answer
        said = "this server wants its token: send it as 'Authorization: Bearer TOKEN', or open the address it printed"
        return problem(request, 401, said, {"www-authenticate": "Bearer"})


def _path_of(scope: Scope) -> str:
    path: str = scope["path"]
    return path if path in PATHS else PATHS[-1] if path.startswith("/style/") else OTHER
