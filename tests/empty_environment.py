"""Environments with nothing in them, away from the code."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

Installed = Callable[..., str]
"""Words of a command of an environment -> what it prints, run in an empty folder."""


def environment(folder: Path) -> Installed:
    """An empty environment below a folder; what is run in it knows nothing of this one."""
    venv.create(folder / "env", symlinks=True)
    (folder / "empty").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "WILSS_", "VIRTUAL"))}

    def run(program: str, *words: str) -> str:
        command = [str(folder / "env" / "bin" / program), *words]
        done = subprocess.run(command, cwd=folder / "empty", env=kept, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stdout + done.stderr
        return done.stdout

    return run


def install(wheel: Path, folder: Path, *options: str) -> None:
    pip(folder, "install", "--quiet", *options, str(wheel))


def pip(folder: Path, *words: str) -> str:
    """pip of this environment, at work in the other one."""
    command = [sys.executable, "-m", "pip", "--python", str(folder / "env" / "bin" / "python"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout
