"""The command line as a fixture."""

from __future__ import annotations

import sys
from contextlib import nullcontext

import pytest

from flows import cli
from flows.cli import benchmarks, few_shot, foundations


@pytest.fixture
def wilss(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Run the command line in this process: (exit code, standard output, standard error)."""
    monkeypatch.delenv("WILSS_DATA", raising=False)
    for module in (benchmarks, few_shot, foundations):  # the tests bring their own Prefect server
        monkeypatch.setattr(module, "server_at_hand", lambda root, verbose=False: nullcontext())

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["wilss", *map(str, arguments)])
        code = 0
        try:
            cli.call()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call
