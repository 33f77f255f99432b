"""Contract suites for pytest: what every scorer, grouper, method, head and data set promises, ready to be inherited.

    class TestMine(wilss.testing.MethodContract):
        def make(self, context):
            return Mine(context)

Our own are held to the same suites.
"""

from __future__ import annotations

import pytest

_SUITES = ("foundations", "heads", "methods", "sources")
pytest.register_assert_rewrite(*(f"wilss.testing.{name}" for name in _SUITES))  # so that failures show the values

from wilss.testing.foundations import GrouperContract, ScorerContract  # noqa: E402
from wilss.testing.heads import HeadContract  # noqa: E402
from wilss.testing.methods import MethodContract  # noqa: E402
from wilss.testing.sources import SourceContract  # noqa: E402

__all__ = ["GrouperContract", "HeadContract", "MethodContract", "ScorerContract", "SourceContract"]
