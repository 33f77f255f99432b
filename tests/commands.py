"""Calling the command line in the process of a test."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from deployments import command

Wilss = Callable[..., tuple[int, str, str]]
"""Arguments -> exit code, standard output, standard error."""


def command_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Wilss:
    """The command ``wilss`` as a function."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["wilss", *map(str, arguments)])
        code = 0
        try:
            command.call()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call
