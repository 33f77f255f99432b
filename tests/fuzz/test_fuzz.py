"""Two hundred spoilt inputs of every format; ``python -m tests.fuzz --count 1000`` tries more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.__main__ import run
from tests.fuzz.formats import FORMATS, make_examples
from tests.fuzz.harness import try_cases


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_nothing_spoilt_ends_in_a_traceback_a_hang_or_without_memory(tmp_path: Path) -> None:
    make_examples(tmp_path, run)
    outcomes = list(try_cases(tmp_path, range(210), seed=1))
    assert {outcome.format for outcome in outcomes} == set(FORMATS)
    assert [outcome for outcome in outcomes if outcome.problems] == []
