"""What libraries log while a model loads, and afterwards."""

from __future__ import annotations

import logging

import pytest

from wilss._logs import quiet_logs


def test_a_library_that_logs_gives_the_root_logger_no_handler(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    with quiet_logs():
        logging.info("Loaded a model")
        logging.warning("No pretrained weights")
    assert logging.root.handlers == []
    assert capsys.readouterr().err == ""
    logging.info("as it was before")
    assert len(logging.root.handlers) == 1
