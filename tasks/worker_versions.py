"""Versions that a worker and who sends it work must share: what is sent is made of byte code and of their classes."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version

from wilss.errors import RunnerError

PYTHON = "Python"
PACKAGES = ("wilss", "torch", "prefect", "distributed")


def versions_here() -> dict[str, str]:
    """Of this process."""
    return {PYTHON: minor(platform.python_version()), **{name: public(version(name)) for name in PACKAGES}}


def require_same_version(where: str, theirs: Mapping[str, str], ours: Mapping[str, str]) -> None:
    """Raise RunnerError that names all that differs.

    Args:
        where: what has the one, for people. theirs, ours: name -> version; "" for a package that is not there.
    """
    if odd := [name for name, known in ours.items() if theirs[name] != known]:
        there = ", ".join(f"{name} {theirs[name]}" if theirs[name] else f"no {name}" for name in odd)
        here = ", ".join(f"{name} {ours[name]}" for name in odd)
        raise RunnerError(f"{where} has {there}; here is {here}: install the same there, and start it again")


def public(found: str) -> str:
    """A version without what it was built for: who has no GPU may have workers with one."""
    return found.partition("+")[0]


def minor(python: str) -> str:
    """Byte code differs from one minor version of Python to the next."""
    return ".".join(python.split(".")[:2])
