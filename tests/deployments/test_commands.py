"""All commands of ``wilss`` together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cyclopts import App

from deployments.command import add_commands
from flows.cli.app import app


def commands(of: App, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], App]]:
    for name in of:
        if not name.startswith("-"):
            yield from commands(of[name], (*path, name))
    if of.default_command is not None:
        yield path, of


def test_no_option_has_the_name_of_another() -> None:
    """Groups of options meet in one command: what is given would go to one of them, and be missed by the other."""
    add_commands()
    found = dict(commands(app))
    assert {("run",), ("schedule", "add", "retrain"), ("models", "rollback")} <= set(found)
    twice = {}
    for path, command in found.items():
        names = Counter(name for argument in command.assemble_argument_collection() for name in argument.names)
        twice[" ".join(path)] = [name for name, count in names.items() if count > 1 and name != "*"]
    assert {path: names for path, names in twice.items() if names} == {}
