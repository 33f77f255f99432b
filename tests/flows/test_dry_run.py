"""What a command would do, told without doing it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("prefect_backend")
Wilss = Callable[..., tuple[int, str, str]]
TINY = ("scenes-15-5", "--preset", "tiny", "--method", "finetune", "--dry-run")
RUN = tuple(word for word in ("run", *TINY) if word != "--dry-run")


def titles(out: str, what: str) -> list[str]:
    """Titles of the nodes that a plan says this of."""
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]
    return [row[0] for row in rows if row[4] == what]


def to_be_made(out: str) -> list[str]:
    """Titles of what a plan would make."""
    return titles(out, "to be made")


@pytest.mark.slow
def test_a_dry_run_tells_settings_plan_and_estimate_and_makes_nothing(wilss: Wilss, tmp_path: Path) -> None:
    root = tmp_path / "root"
    code, out, _ = wilss("run", *TINY, "--root", root)
    assert code == 0
    assert "step: epochs=2" in out
    everything = [
        "base student",
        "evaluation of step 0",
        "labels of step 1",
        "student of step 1",
        "evaluation of step 1",
    ]
    assert to_be_made(out) == everything
    assert "to be made: 5 nodes, about 0.0 minutes without 5 that are like nothing in this store yet" in out
    assert not root.exists()

    code, out, _ = wilss("step", *TINY, "--step", 0, "--root", root)
    assert (code, to_be_made(out)) == (0, everything[:2])
    for options in ((), ("--dry-run",)):  # as the step itself
        code, _, err = wilss(*("step", *RUN[1:], *options), "--step", 1, "--root", root)
        assert code == 2
        assert "the base student" in err
        assert "does not exist" in err

    assert wilss(*RUN, "--root", root)[0] == 0
    before = sorted(path for path in root.rglob("*"))
    out = wilss("run", *TINY, "--root", root)[1]
    assert (out.count("found, made"), to_be_made(out)) == (5, [])
    out = wilss("run", *TINY, "--again", "step", "--root", root)[1]
    assert to_be_made(out) == everything[3:]
    assert re.search(r"to be made: 2 nodes, about \d+\.\d minutes$", out.strip())
    out = wilss("step", *TINY, "--step", 1, "--again", "labels", "--root", root)[1]
    assert to_be_made(out) == everything[2:]
    code, _, err = wilss("step", *TINY, "--step", 1, "--again", "base", "--root", root)
    assert (code, "'base' is no stage that could be made again here" in err) == (2, True)
    assert sorted(path for path in root.rglob("*")) == before


def test_runs_of_a_comparison_share_what_is_to_be_made(wilss: Wilss, tmp_path: Path) -> None:
    compare = ("compare", "scenes-15-5", "--preset", "tiny", "--methods", "finetune", "wilson", "--seeds", "0")
    code, out, _ = wilss(*compare, "--dry-run", "--root", tmp_path / "root")
    assert code == 0
    # wilson pastes nothing either, and learns from no label set
    assert to_be_made(out).count("base student") == 1
    assert titles(out, "shared") == ["base student", "evaluation of step 0"]
    assert "to be made: 7 nodes" in out
    assert not (tmp_path / "root").exists()
