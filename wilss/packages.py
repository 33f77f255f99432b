"""Where these packages lie, for processes that are to find the same ones, and the optional ones of others."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from wilss.errors import SpecError

HOME = Path(__file__).parents[1]


def python_path() -> str:
    """PYTHONPATH of a child: these packages first, not folders of the same names in which it is started."""
    return os.pathsep.join(filter(None, (str(HOME), os.environ.get("PYTHONPATH"))))


def require_packages(what: str, names: Iterable[str], extra: str) -> None:
    """Raise SpecError, which says what needs it and how it is installed, for a module of an extra that is not here."""
    for name in names:
        try:
            import_module(name)
        except ImportError as error:
            raise SpecError(
                f"{what} needs the package {name}, which is not here; pip install 'wilss[{extra}]'"
            ) from error
