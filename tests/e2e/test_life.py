"""The life of a model, from an empty folder and the wheel: a schedule, the gate, a way back, and nothing left."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stores.gates import read_gates
from tests.e2e.serving import CHECKOUT, Serving, serving
from tests.pace import wait_for
from wilss.aliases import aliases_of, moves_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TINY = ("--benchmark", "scenes-15-5", "--preset", "tiny")
LENIENT = ("floor=0", "least_per_class=0")
"""A tiny model knows little, and its guard set of 24 images does not show every class."""

AHEAD = 40
"""Seconds."""
EARLY, LATE = timedelta(seconds=-1.5), timedelta(seconds=60)
"""When a scheduled run begins. Prefect's server rounds the wait to whole seconds: it may be half a one early, and by
what the server takes to judge. A worker has it some ten seconds before it is due, and must not begin it then."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages as people install them, without the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, CHECKOUT], check=True, capture_output=True)
    (built,) = folder.glob("wilss-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", built], check=True, capture_output=True)
    return folder / "site"


def test_a_model_comes_in_by_schedule_a_worse_one_is_kept_out_and_there_is_a_way_back(
    wheel: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, PYTHONPATH=str(wheel)) as found:
        assert str(wheel) in _home_of(found, "deployments.command")
        first = _by_schedule(found)
        assert aliases_of(found.root) == {"champion": first}

        refused = found.wilss("trigger", "retrain", *TINY, *_finetuned(epochs=1), "--gate", *LENIENT)
        assert refused.returncode == 1, refused.stdout + refused.stderr
        kept_out = next(read_gates(found.root))
        fallen = {name for rule in kept_out.verdict.rules if rule.rule == "old" for name in rule.classes}
        assert fallen
        assert all(f"{name} lost" in kept_out.reason or name in kept_out.reason for name in fallen), kept_out.reason
        assert kept_out.reason in " ".join(refused.stdout.split())
        assert aliases_of(found.root) == {"champion": first}

        let_in = ("delta=1", "epsilon=1", *LENIENT)
        done = found.wilss("trigger", "retrain", *TINY, *_finetuned(epochs=1), "--gate", *let_in)
        assert done.returncode == 0, done.stdout + done.stderr
        second = aliases_of(found.root)["champion"]
        assert second != first
        assert aliases_of(found.root)["previous"] == first

        back = found.wilss("models", "rollback", "--why", "worse")
        assert back.returncode == 0, back.stderr
        assert aliases_of(found.root)["champion"] == first
        assert [move.what for move in moves_of(found.root)] == ["promote", "promote", "rollback"]
        found.down()
        assert found.leftovers() == []
        left = {path.name for path in (tmp_path / "tmp").iterdir()}
        assert {name for name in left if not name.startswith("torchinductor_")} == set()  # torch's cache, one a user


def _by_schedule(found: Serving) -> str:
    """A model that a schedule has brought in, which was due a short while ahead."""
    due = (datetime.now(UTC) + timedelta(seconds=AHEAD)).replace(microsecond=0)
    when = ("--every", "1d", "--first", due.isoformat(), "--timezone", "UTC", "--name", "soon")
    added = found.wilss("schedule", "add", "retrain", *TINY, "--gate", *LENIENT, *when)
    assert added.returncode == 0, added.stderr
    assert f"{due:%H:%M}" in added.stdout
    wait_for(lambda: "champion" in aliases_of(found.root), 400, "the champion", found.logs)
    (run,) = [run for run in _runs(found) if run["state_type"] in ("RUNNING", "COMPLETED")]
    run = found.finish(run["id"])
    begun = datetime.fromisoformat(run["start_time"].replace("Z", "+00:00"))
    assert datetime.fromisoformat(run["expected_start_time"].replace("Z", "+00:00")) == due
    assert EARLY <= begun - due < LATE
    assert "soon" in found.wilss("logs", run["id"]).stdout
    assert "soon" in found.wilss("schedule", "list").stdout
    assert found.wilss("schedule", "rm", "soon").returncode == 0
    return aliases_of(found.root)["champion"]


def _runs(found: Serving) -> list[dict[str, Any]]:
    return found.api.rows("/flow_runs/filter")


def _finetuned(epochs: int) -> tuple[str, ...]:
    return ("--method", "finetune", "--set", f"step.epochs={epochs}")


def _home_of(found: Serving, module: str) -> str:
    code = f"import {module}; print({module}.__file__)"
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, cwd=found.folder, env=found.env, capture_output=True, text=True, check=True)
    return done.stdout
