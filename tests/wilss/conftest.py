"""What tests of several modules register."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wilss import register


@pytest.fixture
def registrations() -> Iterator[None]:
    """What a test registers goes with it."""
    before, loaded = [dict(table) for table in register.TABLES], dict(register._loaded)
    yield
    for table, entries in zip(register.TABLES, before, strict=True):
        table.clear()
        table.update(entries)
    register._loaded.clear()
    register._loaded.update(loaded)
