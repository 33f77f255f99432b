"""Starting a service: the options of the command line, and the process that becomes it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deployments.service.options import SECRETS, VARIABLE, UpOptions, require_sound
from flows.machine import variables_of
from flows.service import service_of
from stores.progress import say
from wilss.errors import ServerNotFoundError, SpecError
from wilss.outputs import writable_folder
from wilss.packages import python_path
from wilss.settings import Settings
from wilss.words import explain

DETACHED_SECONDS = 240.0


def options_of(settings: Settings, given: dict[str, Any]) -> UpOptions:
    """Options of a service. Raises SpecError for what cannot be."""
    root = settings.root.resolve()
    for name, variable in SECRETS.items():
        given = {**given, name: given[name] or os.environ.get(variable, "")}
    try:
        options = UpOptions(root=root, folder=Path.cwd(), settings=variables_of(settings), **given)
    except ValidationError as error:
        raise SpecError(explain(error, UpOptions)) from error
    return require_sound(options)


def start(options: UpOptions, detach: bool) -> None:
    """Become the service, or start it in the background and wait until it is up; one that is up is told."""
    if found := service_of(options.root):
        say(f"the service of '{options.root}' is up already, process {found.pid}")
        print(found.addresses)
        return
    writable_folder(options.home / "logs")
    say(f"starting the service of '{options.root}'")
    env = {**os.environ, VARIABLE: options.model_dump_json(), "PYTHONPATH": python_path()}
    words = [sys.executable, "-P", "-m", "deployments.service"]
    if detach:
        _start_in_background(words, env, options)
    else:
        os.execve(sys.executable, words, env)


def _start_in_background(words: list[str], env: dict[str, str], options: UpOptions) -> None:
    log = options.home / "logs" / "up.log"
    with log.open("wb") as handle:
        process = subprocess.Popen(
            words, env=env, stdin=subprocess.DEVNULL, stdout=handle, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + DETACHED_SECONDS
    while not (found := service_of(options.root)):
        if process.poll() is not None:
            last = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise ServerNotFoundError(last[-1].removeprefix("wilss: "))
        if time.monotonic() > deadline:
            process.terminate()
            raise ServerNotFoundError(f"the service is not up after {DETACHED_SECONDS:.0f} s; its log is '{log}'")
        time.sleep(0.2)
    print(found.addresses)
