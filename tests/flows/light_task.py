"""Tasks that compute nothing, in a module that loads no torch: workers are there at once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE


@task(cache_policy=NO_CACHE, persist_result=False)
def squared(run: Any, part: int, folder: Path) -> int:
    """Takes a moment, and notes that it was done."""
    time.sleep(0.1)
    (folder / f"{part} {os.getpid()}").touch()
    return part * part


@task(cache_policy=NO_CACHE, persist_result=False)
def deadly(run: Any, part: int, folder: Path, times: int) -> int:
    """Part 1 ends its worker so many times before it is done."""
    if part == 1 and len(list(folder.glob("died *"))) < times:
        (folder / f"died {os.getpid()}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return part


@task(cache_policy=NO_CACHE, persist_result=False)
def refused(run: Any, part: int) -> int:
    """Fails with an error of the package's own."""
    from wilss.errors import SpecError

    raise SpecError(f"part {part} says no")
