"""One command a kind of flow, with the options of the kind and those of what is done with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any

from cyclopts import App

from deployments.cli.wanted import Wanting
from deployments.cli.wanted_more import KINDS


def add_kinds(app: App, options: type, act: Callable[[Any, Any], None], doc: str) -> None:
    """Give an app a command for each kind of flow.

    Args:
        options: dataclass of what is asked beside the kind's own options. act: is called with both. doc: of the
            command; ``{does}`` in it is what the kind does.
    """
    for kind in KINDS:
        app.command(_command(kind, options, act, doc), name=kind.kind)


def _command(kind: type[Wanting], options: type, act: Callable[[Any, Any], None], doc: str) -> Callable[..., None]:
    def command(*, wanted: Any, options: Any) -> None:
        act(wanted, options)

    command.__doc__ = doc.format(does=kind.does)
    command.__annotations__ = {"wanted": kind, "options": options, "return": None}
    whole = {"wanted": kind, "options": options}
    command.__kwdefaults__ = {name: one() for name, one in whole.items() if _needs_nothing(one)}
    return command


def _needs_nothing(kind: type) -> bool:
    return all(field.default is not MISSING or field.default_factory is not MISSING for field in fields(kind))
