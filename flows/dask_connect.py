"""Connecting to a Dask scheduler: what does not answer, or is none, is one sentence within seconds."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from distributed import Client, Security
from distributed.core import rpc
from distributed.versions import VersionMismatchWarning

from flows.dask_versions import require_same_versions
from wilss.errors import RunnerError

CONNECT_SECONDS = 5.0
START_IT = "start one with 'dask scheduler', name another with --runner dask:ADDRESS, or give --runner threads"


@contextmanager
def quiet() -> Iterator[None]:
    """Without Dask's own lines: what people should know is said as everything else is."""
    known = [name for name in logging.root.manager.loggerDict if name.startswith("distributed.")]
    loggers = [logging.getLogger(name) for name in ("distributed", *known)]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VersionMismatchWarning)  # `require_same_versions` says what counts
        try:
            for logger in loggers:
                logger.setLevel(logging.CRITICAL)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def look_at(address: str) -> None:
    """Connect to a scheduler and go again.

    Raises RunnerError where none answers, or where one of its workers has other versions.
    """
    require_scheduler(address)
    with quiet(), Client(address, timeout=CONNECT_SECONDS, set_as_default=False) as client:
        require_same_versions(client)


def require_scheduler(address: str) -> None:
    """Raise RunnerError where no scheduler answers at an address.

    Dask's client waits without an end for something else that takes its connection.
    """
    try:
        with quiet(), ThreadPoolExecutor(1) as thread:  # a loop may be running in this one
            kind = thread.submit(asyncio.run, _kind(address)).result()
    except (TimeoutError, OSError, ValueError, TypeError) as error:  # a type: TLS without certificates
        reason = " ".join(str(error).split())[:300] or f"nothing said within {CONNECT_SECONDS:.0f} s"
        raise RunnerError(f"no Dask scheduler answers at '{address:.200}' ({reason}); {START_IT}") from error
    if kind != "Scheduler":
        raise RunnerError(f"what answers at '{address:.200}' is no Dask scheduler but a {kind:.40}; {START_IT}")


async def _kind(address: str) -> str:
    arguments = Security().get_connection_args("client")
    async with rpc(address, timeout=CONNECT_SECONDS, connection_args=arguments) as asked:
        return str((await asyncio.wait_for(asked.identity(), CONNECT_SECONDS + 1))["type"])
