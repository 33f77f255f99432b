"""Machines that share a bucket and nothing else: each has a working root of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.s3 import Bucket
from wilss.layout import root_folder

Machine = Callable[[str], Path]


@pytest.fixture
def machine(s3: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """The working root of the same bucket on a machine of this name."""

    def root(name: str) -> Path:
        monkeypatch.setenv("WILSS_CACHE", str(tmp_path / name))
        return root_folder(s3.address())

    return root
