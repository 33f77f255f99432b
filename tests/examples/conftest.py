"""The command line, and registrations that go with their test."""

from __future__ import annotations

from tests.flows.conftest import wilss
from tests.wilss.conftest import registrations

__all__ = ["registrations", "wilss"]
