"""Whether Dask's workers are such as this process needs: looked at when it connects."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

from distributed import Client
from prefect.settings import PREFECT_API_URL

from tasks.worker_versions import PACKAGES, PYTHON, minor, public, require_same_version, versions_here
from tasks.workers import problem_reaching
from wilss.errors import RunnerError


def require_same_versions(client: Client) -> None:
    """Raise RunnerError that names a worker of another version, and all that differs.

    Only functions of Python's own library are sent, which every version of it has.
    """
    found = {PYTHON: client.run(platform.python_version, on_error="return")}
    found |= {name: client.run(version, name, on_error="return") for name in PACKAGES}
    for worker in found[PYTHON]:
        theirs = {name: _told(by_worker.get(worker)) for name, by_worker in found.items()}
        require_same_version(f"the worker {worker}", {**theirs, PYTHON: minor(theirs[PYTHON])}, versions_here())


def require_reachable_server(client: Client) -> None:
    """Raise RunnerError that names a worker which does not reach Prefect's server, where task runs are told."""
    url = urlsplit(PREFECT_API_URL.value() or "")
    if url.scheme != "http" or not url.hostname:  # others may be asked through a proxy
        return
    for worker, problem in client.run(problem_reaching, url.hostname, url.port or 80).items():
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
