"""``wilss serve``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

from cyclopts import Parameter

from deployments.serving.options import SERVE_PORT, TOKEN, make_options
from flows.cli.options import Device, Flag, Root
from flows.machine import machine_settings
from wilss.packages import python_path


def serve(
    model: str,
    *,
    host: str = "127.0.0.1",
    port: int = SERVE_PORT,
    name: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True)] = (),
    token: Annotated[str | None, Parameter(show_default=False)] = None,
    max_bytes: int = 32 << 20,
    max_pixels: int = 50_000_000,
    max_files: int = 16,
    queue: int = 64,
    batch: int = 8,
    loose: Flag = False,
    timeout: float = 30.0,
    grace: float = 20.0,
    poll: float = 1.0,
    root: Root = None,
    device: Device = None,
) -> None:
    """Serve a model over HTTP: images go to /predict, PNG or JSON comes back; an alias is followed. Ctrl-C ends it.

    Args:
        model: alias, digest or folder of a checkpoint, or folder of a run, whose last one is taken
        host: address to serve; another than this machine's own asks everybody for a token
        port: 0 takes a free one
        name: further host names that the server is asked under on this machine, e.g. by a proxy
        token: that every request has to bring, as a Bearer; else WILSS_SERVE_TOKEN, else one is made off this machine
        max_bytes: of a request
        max_pixels: of an image
        max_files: images of a request
        queue: images that are read, wait and are computed at the same time; more are refused with 429
        batch: images of one size that go through the network together
        loose: they go together also where that changes the last digits, as on many GPUs, and a pixel between classes
        timeout: seconds that a request may take to come, and its answer to be made
        grace: seconds that waiting requests have when the server is ended
        poll: seconds between two looks at the alias
    """
    settings = machine_settings(root=root, device=device)
    limits = {"max_bytes": max_bytes, "max_pixels": max_pixels, "max_files": max_files, "queue": queue, "batch": batch}
    times = {"loose": loose, "timeout": timeout, "grace": grace, "poll": poll}
    place = {"root": settings.root, "device": settings.device, "host": host, "port": port, "names": name}
    options = make_options({"model": model, **place, **limits, **times})
    if token is not None:
        os.environ[TOKEN] = token
    # the process becomes the server, so that one Ctrl-C is heard by it alone, and the rooms are found beside this one
    os.environ["PYTHONPATH"] = python_path()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "deployments.serving", options.text])
