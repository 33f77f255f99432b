"""A command that has nothing to do starts no server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.cli import benchmarks, few_shot

RUN = ("scenes-15-5", "--preset", "tiny", "--method", "finetune", "--set", "data.n_train=48", "data.n_eval=8")


def forbidden(*_: Any) -> None:
    pytest.fail("a server was started")


def test_a_run_that_stands_needs_no_flow(  # type: ignore[no-untyped-def]
    wilss, tmp_path: Path, prefect_backend: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (*RUN, "base.epochs=1", "step.epochs=1", "--root", tmp_path)
    code, first, err = wilss("run", *command)
    assert code == 0, err
    (report,) = (tmp_path / "runs").glob("*/report.json")
    before = report.read_bytes()
    monkeypatch.setattr(benchmarks, "server_at_hand", forbidden)
    code, second, err = wilss("run", *command)
    assert (code, second) == (0, first), err
    for title in ("base student", "evaluation of step 1"):
        assert f"{title}: found, made " in err
    assert "report: found, nothing was to be done" in err
    assert report.read_bytes() == before, "the seconds that it took, too"
    with pytest.raises(pytest.fail.Exception):
        wilss("run", *command, "--again", "evaluation")
    with pytest.raises(pytest.fail.Exception):
        wilss("run", *RUN, "base.epochs=2", "--root", tmp_path)
    next((tmp_path / "evaluations").glob("*/*/manifest.json")).unlink()
    with pytest.raises(pytest.fail.Exception):
        wilss("run", *command)


@pytest.mark.slow
def test_a_few_shot_model_that_is_scored_needs_no_flow(  # type: ignore[no-untyped-def]
    wilss, tmp_path: Path, prefect_backend: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("--fold", 0, "--head", "prototype", "--preset", "tiny", "--root", tmp_path)
    for verb in ("train", "eval"):
        code, first, err = wilss("few-shot", verb, *command)
        assert code == 0, err
    monkeypatch.setattr(few_shot, "server_at_hand", forbidden)
    code, second, err = wilss("few-shot", "eval", *command)
    assert (code, second) == (0, first), err
    assert "report: found, nothing was to be done" in err
