"""A pass with a budget leaves out what comes too late, by name, and runs the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.budget import in_order_of_commit
from tests.test_torch_free import ROOT

TESTS = """
import time, pytest
@pytest.mark.parametrize("n", range(3))
def test_sleeps(n): time.sleep(0.2)
"""


def run(folder: Path, *options: str) -> str:
    (folder / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "tests.budget", "-rs", "-q", str(folder), f"--rootdir={folder}"]
    own = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run([*command, *options], capture_output=True, text=True, cwd=ROOT, env=own, check=True).stdout


def test_what_comes_too_late_is_skipped_and_says_so(tmp_path: Path) -> None:
    said = run(tmp_path, "--budget", "0.1")
    assert "the budget of 0 s is used up" in said
    assert "2 skipped" in said


def test_without_a_budget_everything_runs(tmp_path: Path) -> None:
    assert "3 passed" in run(tmp_path)


def test_the_order_of_files_goes_by_the_commit_and_no_file_is_torn(request: pytest.FixtureRequest) -> None:
    given = [item for item in request.session.items if "tests/wilss/" in str(item.path)] or request.session.items
    orders = []
    for name in ("a" * 40, "b" * 40, "a" * 40):
        in_order_of_commit(items := list(given), name)
        assert sorted(item.nodeid for item in items) == sorted(item.nodeid for item in given)
        files = [item.path for item in items]
        assert len([1 for one, other in pairwise(files) if one != other]) == len(set(files)) - 1
        orders.append([item.nodeid for item in items])
    assert orders[0] == orders[2]
    assert len(set(files)) < 5 or orders[0] != orders[1]
