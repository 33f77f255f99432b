"""Where the service of a root folder answers, as ``wilss up`` wrote it; nothing here loads Prefect."""

from __future__ import annotations

import json
import os
import re
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from pydantic import BaseModel, ConfigDict

from flows.surroundings import CONNECT_SECONDS, named_server, no_server, prepare_prefect, spare_loopback
from stores.locks import held_now
from wilss.errors import ServerNotFoundError
from wilss.outside import checked, read_json

FOLDER = "service"
"""Below the root: what the service keeps of itself."""
CARD = "service.json"
AUTH = "auth"
"""What the server asks for, readable by its user alone."""
LOCK = "up.lock"
"""Held as long as the service is up."""
VERSION = re.compile(r"\d+\.\d+")
START = "start it with 'wilss up'"


SERVER_PORT, INSPECTOR_PORT = 4200, 8460
"""Where they listen unless told otherwise."""


class Service(BaseModel):
    """A service that is up.

    pid: of ``wilss up``. api, interface, inspector: addresses. pools: of its workers, one a device. started: local
    time, ISO. wilss, prefect: versions.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    pid: int
    root: Path
    api: str
    interface: str
    inspector: str
    pools: tuple[str, ...]
    started: str
    wilss: str
    prefect: str

    @property
    def addresses(self) -> str:
        """Where it answers, for people, a line each."""
        return f"interface  {self.interface}\napi        {self.api}\ninspector  {self.inspector}"


def service_folder(root: Path) -> Path:
    """Where the service of a root keeps its card, lock, logs and database."""
    return root / FOLDER


def service_of(root: Path) -> Service | None:
    """The service that is up for a root; None where there is none. Raises FormatError for a damaged card."""
    card, lock = service_folder(root) / CARD, service_folder(root) / LOCK
    if not lock.is_file() or not card.is_file():
        return None
    with held_now(lock) as free:
        if free:
            return None
    return checked(Service, read_json(card, START), card, START)


def auth_of(root: Path) -> str:
    """What the service of a root asks for, USER:PASSWORD or "" for none; only the user who started it can read it."""
    path = service_folder(root) / AUTH
    return path.read_text().strip() if path.is_file() else ""


def version_problem(found: Service) -> str:
    """One sentence where this command's Prefect cannot talk to the service's, else ""."""
    if fits(found.prefect):
        return ""
    return (
        f"the service of '{found.root}' runs Prefect {found.prefect} (wilss {found.wilss}), this command has "
        f"{version('prefect')}; end it with 'wilss down' and start it with this 'wilss up', or use the environment "
        "that started it"
    )


def fits(server: str) -> bool:
    """Whether a server of that version of Prefect understands this environment's: it may be newer, but no 4."""
    own, other = (tuple(int(part) for part in told.split(".")[:2]) for told in (version("prefect"), server))
    return own[0] == other[0] and own[1] <= other[1]


def require_named_server() -> None:
    """Raise ServerNotFoundError where PREFECT_API_URL names nothing that answers, or a server of another version."""
    url = named_server()
    try:
        with urlopen(f"{url}/admin/version", timeout=CONNECT_SECONDS) as answer:
            told = str(json.loads(answer.read(1000)))
    except HTTPError as error:
        if error.code != HTTPStatus.UNAUTHORIZED:
            raise no_server(url, str(error)) from error
        return  # it asks for a password, which Prefect has by PREFECT_API_AUTH_STRING
    except (OSError, ValueError) as error:
        raise no_server(url, str(error)) from error
    if not VERSION.match(told) or not fits(told):
        raise ServerNotFoundError(
            f"the server at {url} is Prefect {told:.40}, this command has {version('prefect')}, which it does not "
            "understand; upgrade the server, or start one with 'wilss up'"
        )


def require_service(root: Path) -> str:
    """Address of the API that commands talk to: the service's of the root, else what PREFECT_API_URL names.

    It is set as PREFECT_API_URL, so that Prefect, imported later, uses it. Raises ServerNotFoundError for neither, and
    for a server of another release of Prefect.
    """
    prepare_prefect(verbose=False)
    spare_loopback()
    if found := service_of(root):
        if problem := version_problem(found):
            raise ServerNotFoundError(problem)
        os.environ["PREFECT_API_URL"] = found.api
        if auth := auth_of(root):
            os.environ["PREFECT_API_AUTH_STRING"] = auth
    elif not os.environ.get("PREFECT_API_URL"):
        raise ServerNotFoundError(
            f"no service is up for '{root}'; {START}, or name a Prefect server with PREFECT_API_URL"
        )
    else:
        require_named_server()
    return os.environ["PREFECT_API_URL"]
