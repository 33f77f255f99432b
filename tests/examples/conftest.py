"""The command line."""

from __future__ import annotations

from tests.flows.conftest import wilss

__all__ = ["wilss"]
