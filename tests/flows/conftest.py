"""The command line as a fixture."""

from __future__ import annotations

import sys

import pytest

from flows import cli
from flows.cli import few_shot as cli_fewshot
from flows.cli import foundations as cli_foundations


@pytest.fixture
def wilss(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Run the command line in this process: (exit code, standard output, standard error)."""
    monkeypatch.delenv("WILSS_DATA", raising=False)
    for module in (cli, cli_fewshot, cli_foundations):  # the tests bring their own Prefect server
        monkeypatch.setattr(module, "prepare_prefect", lambda root, verbose=False: None)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["wilss", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call
