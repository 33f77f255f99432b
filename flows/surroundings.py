"""What the environment of a process says of Prefect, proxies and homes, put right before Prefect is imported."""

from __future__ import annotations

import importlib.util
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from wilss.errors import ServerNotFoundError
from wilss.outputs import writable_folder

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PROXIES = ("all_proxy", "http_proxy", "https_proxy")
DATABASE = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")
CONNECT_SECONDS = 5.0
HOW_TO_NAME = (
    "start it with 'prefect --no-prompt server start', or unset PREFECT_API_URL to run with a temporary one of our own"
)


def prepare_prefect(verbose: bool) -> None:
    """Prefect's defaults as this package wants them; what the environment says goes first.

    Nothing is sent anywhere: SDK analytics obey DO_NOT_TRACK only, the server's have their own switch.
    """
    defaults = {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
        # flow logs, tracebacks included, go to the API; people get our own messages
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO" if verbose else "CRITICAL",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def spare_loopback() -> list[str]:
    """Let nothing that goes to this machine itself pass a proxy; returns what had to be left out, for people.

    Prefect's client does not start with a SOCKS proxy that the package socksio is missing for.
    """
    left_out = []
    for name in PROXIES:
        for spelled in (name, name.upper()):
            if os.environ.get(spelled, "").startswith("socks") and importlib.util.find_spec("socksio") is None:
                left_out.append(f"{spelled} is not used: a SOCKS proxy needs the package socksio (pip install socksio)")
                del os.environ[spelled]
    told = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = [host.strip() for host in told.split(",") if host.strip()]
    if hosts != ["*"]:
        hosts += [host for host in LOOPBACK if host not in hosts]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(hosts)
    return left_out


def named_server() -> str:
    """The address that PREFECT_API_URL names, "" where it is not set or empty.

    Raises ServerNotFoundError for what is no address, or where nothing takes a connection.
    """
    url = os.environ.get("PREFECT_API_URL", "").strip()
    if not url:
        os.environ.pop("PREFECT_API_URL", None)
        return ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        host, port = None, 0
    if not host:
        raise ServerNotFoundError(
            f"PREFECT_API_URL is '{url:.200}', which is no address such as http://127.0.0.1:4200/api; {HOW_TO_NAME}"
        )
    if parts.scheme in getproxies() and not proxy_bypass(host):
        return url  # the proxy answers for it
    try:
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:
        raise no_server(url, str(error)) from error
    return url


def no_server(url: str, reason: str) -> ServerNotFoundError:
    """The error of a named server that does not answer."""
    return ServerNotFoundError(f"no Prefect server answers at {url.rstrip('/')} ({reason}); {HOW_TO_NAME}")


def prefect_home(root: Path) -> Path:
    """Where a temporary server keeps its history: PREFECT_HOME, else a folder under the root.

    Raises SpecError for one that cannot be written.
    """
    home = Path(os.environ.get("PREFECT_HOME") or root / "prefect").resolve()
    os.environ["PREFECT_HOME"] = str(home)
    return writable_folder(home)  # Prefect does not make parent folders, and then its server never starts


def database_of_home() -> dict[str, str]:
    """The database in the working folder, unless the environment names another.

    Named from there, as an address takes "%41" and "?" in a path for something else.
    """
    if any(os.environ.get(name) for name in DATABASE):
        return {}
    return {DATABASE[0]: "sqlite+aiosqlite:///prefect.db"}
