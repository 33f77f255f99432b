"""A budget of time for a pass over long tests: what has not begun when it is used up is skipped, and says so.

The order of the files goes by the commit, so that what a slow machine leaves out differs from commit to commit.
"""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest

BEGUN = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--budget", type=float, metavar="SECONDS", help="skip tests that have not begun after this time")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--budget"):
        in_order_of_commit(items, commit())


def in_order_of_commit(items: list[pytest.Item], commit: str) -> None:
    """Shuffle files; the tests of a file stay together, and share what it sets up."""
    files = list(dict.fromkeys(item.path for item in items))
    random.Random(commit).shuffle(files)
    items.sort(key=lambda item: files.index(item.path))


def commit() -> str:
    """Empty outside of a repository."""
    asked = ["git", "rev-parse", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, cwd=Path(__file__).parent, check=False).stdout.strip()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    budget = item.config.getoption("--budget")
    begun = item.session.stash.setdefault(BEGUN, time.monotonic())
    if budget and time.monotonic() - begun > budget:
        pytest.skip(f"the budget of {budget:.0f} s is used up")
