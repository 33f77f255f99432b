"""The API of a Prefect server, asked without Prefect, whose import alone takes a second."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flows.surroundings import LOOPBACK, no_server
from wilss.errors import ServerRefusedError

if TYPE_CHECKING:
    import httpx

PAGE = 200
"""Rows that a server gives at once, its own limit."""
SECONDS = 30.0
"""For one answer; a server that writes its database answers late."""
AUTH = "PREFECT_API_AUTH_STRING"
BUSY = (429, 502, 503)
"""What a server answers that has not done what was asked: SQLite's database was locked, or it is starting."""
WAITS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before a busy server is asked again."""
BREAKS = (0.1, 0.4)
"""Seconds before a question is asked again whose connection broke; what listens may be no server at all."""


class Api:
    """A server's API.

    Raises ServerNotFoundError where it does not answer, ServerRefusedError for what it refuses.

    Args:
        url: such as http://127.0.0.1:4200/api. auth: USER:PASSWORD; PREFECT_API_AUTH_STRING when left out.
    """

    def __init__(self, url: str, seconds: float = SECONDS, auth: str = "") -> None:
        import httpx

        user, _, password = (auth or os.environ.get(AUTH, "")).partition(":")
        self.url = url.rstrip("/")
        own = urlsplit(self.url).hostname in LOOPBACK  # no proxy is between this machine and itself
        self._client = httpx.Client(
            base_url=self.url, timeout=seconds, auth=(user, password) if user else None, trust_env=not own
        )

    def __enter__(self) -> Api:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def get(self, path: str) -> Any:
        """What lies at a path, such as ``/flow_runs/ID``."""
        return self._asked("GET", path)

    def found(self, path: str) -> Any:
        """The same, None where nothing lies there."""
        try:
            return self.get(path)
        except ServerRefusedError as error:
            if error.status != 404:
                raise
            return None

    def post(self, path: str, body: object = None) -> Any:
        """The answer to what is posted; None for an empty one."""
        return self._asked("POST", path, {} if body is None else body)

    def rows(self, path: str, body: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """All that a filter finds, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.post(path, {**(body or {}), "limit": PAGE, "offset": len(found)})
            found += page
            if len(page) < PAGE:
                return found

    def answers(self) -> bool:
        """Whether a Prefect server is there and well."""
        import httpx

        try:
            return self._client.get("/health", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        """Give its connections back."""
        self._client.close()

    def patch(self, path: str, body: object) -> None:
        """Change what lies at a path."""
        self._asked("PATCH", path, body)

    def delete(self, path: str) -> None:
        """Remove what lies at a path."""
        self._asked("DELETE", path)

    def _asked(self, method: str, path: str, body: object = None) -> Any:
        answer = self._answer(method, path, body)
        for seconds in WAITS:
            if answer.status_code not in BUSY:
                break
            time.sleep(seconds)
            answer = self._answer(method, path, body)
        if answer.is_error:
            raise ServerRefusedError(self._refusal(answer), answer.status_code)
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise no_server(self.url, "what it answers is no JSON") from error

    def _answer(self, method: str, path: str, body: object) -> httpx.Response:
        """Questions are asked again where a connection breaks: a server that is there may drop one that idled."""
        import httpx

        question = method == "GET" or path.endswith(("/filter", "/count"))
        for seconds in (*BREAKS, None):
            try:
                return self._client.request(method, path, json=body)
            except httpx.HTTPError as error:
                broken = isinstance(error, httpx.ReadError | httpx.WriteError | httpx.RemoteProtocolError)
                if not (question and broken) or seconds is None:
                    raise no_server(self.url, str(error) or type(error).__name__) from error
                time.sleep(seconds)
        raise AssertionError("the last round returns or raises")

    def _refusal(self, answer: httpx.Response) -> str:
        """What the server says of a request, in one sentence."""
        if answer.status_code in (401, 403):
            return f"the server at {self.url} takes nothing without its password; set {AUTH}=USER:PASSWORD"
        try:
            content = answer.json()
        except ValueError:
            content = {}
        told = content.get("detail") or content.get("exception_detail") if isinstance(content, dict) else None
        if isinstance(told, list):  # of FastAPI's own checks
            told = "; ".join(str(part.get("msg", part)) if isinstance(part, dict) else str(part) for part in told)
        return f"the server refuses it ({told or answer.reason_phrase or answer.status_code!s:.500})"


def interface_of(url: str) -> str:
    """Address of a server's pages."""
    return url.rstrip("/").removesuffix("/api")


def page_of_run(url: str, run_id: str) -> str:
    """Address of the page of a flow run."""
    return f"{interface_of(url)}/runs/flow-run/{run_id}"
