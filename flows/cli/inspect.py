"""``wilss inspect``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.cli.options import NO_MACHINE_OPTIONS, MachineOptions
from flows.machine import variables_of
from flows.service import INSPECTOR_PORT
from wilss.packages import python_path


def inspect(
    label_set: str = "",
    *,
    host: str = "127.0.0.1",
    port: int = INSPECTOR_PORT,
    name: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True)] = (),
    who: str | None = None,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Serve pages on which label sets are looked at, judged and corrected, and runs compared; Ctrl-C ends it.

    Args:
        label_set: that is shown first; its digest, or the first digits of it
        host: address to serve; another than this machine's own asks everybody for the token that is printed
        port: 0 takes a free one
        name: further host names that the server is asked under
        who: your name in the log of reviews; the name of the user when left out
    """
    settings = machine.settings()
    os.environ.update(variables_of(settings))
    words = [
        "--host",
        host,
        "--port",
        str(port),
        *(["--who", who] if who else []),
        *(["--name", *name] if name else []),
    ]
    words += ["--label-set", _known(label_set, settings.root)] if label_set else []
    # the pages are a room behind this one; the process becomes their server, so that one Ctrl-C is heard by it alone
    # and finds the room beside this one, not a folder of the same name in which it was started
    os.environ["PYTHONPATH"] = python_path()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "deployments.inspector", *words])


def _known(label_set: str, root: Path) -> str:
    """The whole digest. Raises ArtefactNotFoundError where there is none."""
    from wilss.layout import find_artefact

    return find_artefact(root, "labels", label_set).name
