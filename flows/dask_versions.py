"""Whether Dask's workers are such as this process needs: looked at when it connects."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit

from distributed import Client
from prefect.settings import PREFECT_API_URL

from tasks.worker_versions import PACKAGES, PYTHON, minor, public, require_same_version, versions_here
from tasks.workers import problem_reaching
from wilss.errors import RunnerError

ANSWER_SECONDS, AGAIN_SECONDS, LOAD_SECONDS = 30.0, 5.0, 300.0
"""That workers have to say what they have, once more when some did not, and to load torch."""


def require_same_versions(client: Client) -> None:
    """Raise RunnerError that names a worker, or the scheduler, of another version, and all that differs.

    The scheduler reads what it hands on. Only functions of Python's own library are sent, which every version has.
    """
    asked: dict[str, tuple[Any, ...]] = {PYTHON: (platform.python_version,)}
    asked |= {name: (version, name) for name in PACKAGES}
    by_worker = {name: _ask(client, ANSWER_SECONDS, *what) for name, what in asked.items()}
    _require(f"the scheduler {client.scheduler.address}", {name: _on_scheduler(client, asked[name]) for name in asked})
    for worker in by_worker[PYTHON]:
        _require(f"the worker {worker}", {name: found.get(worker) for name, found in by_worker.items()})


def _ask(client: Client, seconds: float, function: Any, *args: Any) -> dict[str, Any]:
    """What a function gives on every worker, or its error. Raises RunnerError that names those that say nothing."""

    async def asked(workers: list[str] | None = None) -> dict[str, Any]:
        found: dict[str, Any] = await client.run(function, *args, workers=workers, on_error="return")
        return found

    async def silent() -> list[str]:
        names = list((await client.scheduler.identity(n_workers=-1))["workers"])
        heard = await asyncio.gather(
            *(asyncio.wait_for(asked([name]), AGAIN_SECONDS) for name in names), return_exceptions=True
        )
        return [name for name, one in zip(names, heard, strict=True) if isinstance(one, TimeoutError)]

    try:
        return dict(client.sync(asked, callback_timeout=seconds))
    except TimeoutError as error:
        names = client.sync(silent)
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise RunnerError(
            f"workers that say nothing within {seconds:.0f} s: {', '.join(names[:3])}{more}; end them, or start them "
            "anew, and start again"
        ) from error


def _on_scheduler(client: Client, what: tuple[Any, ...]) -> object:
    try:
        return client.run_on_scheduler(*what)
    except PackageNotFoundError as error:
        return error


def _require(where: str, found: Mapping[str, object]) -> None:
    theirs = {name: _told(one) for name, one in found.items()}
    require_same_version(where, {**theirs, PYTHON: minor(theirs[PYTHON])}, versions_here())


def require_reachable_server(client: Client) -> None:
    """Raise RunnerError that names a worker which does not reach Prefect's server, where task runs are told."""
    url = urlsplit(PREFECT_API_URL.value() or "")
    if url.scheme != "http" or not url.hostname:  # others may be asked through a proxy
        return
    for worker, problem in _ask(client, LOAD_SECONDS, problem_reaching, url.hostname, url.port or 80).items():
        if isinstance(problem, Exception):  # a package that wilss needs is missing there, or broken
            raise RunnerError(f"the worker {worker} cannot load wilss ({problem!s:.300}); install it there anew")
        if problem:
            raise RunnerError(
                f"the worker {worker} does not reach Prefect's server at {url.geturl()} ({problem}); start a server "
                "that other machines reach, and name it with PREFECT_API_URL"
            )


def _told(found: object) -> str:
    """The version that a worker tells, "" where it lacks the package."""
    if isinstance(found, PackageNotFoundError):
        return ""
    if isinstance(found, BaseException):
        raise found
    return public(str(found))
