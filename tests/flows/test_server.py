"""The server that the command line starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.server import server_at_hand
from wilss.errors import SpecError


def test_a_root_that_is_a_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "root").touch()
    with (
        pytest.raises(SpecError, match=r"root/prefect' cannot be written to \(Not a directory\)"),
        server_at_hand(tmp_path / "root"),
    ):
        pass
