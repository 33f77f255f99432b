"""Benchmarks run and print what they promise; small, as their numbers are not looked at here."""

from __future__ import annotations

import json

import pytest

from tests.benchmarks import check, growth, last_line, predict, scale

pytestmark = pytest.mark.slow


def test_the_check_is_measured_beside_decoding(capsys: pytest.CaptureFixture[str]) -> None:
    last_line("check", check.measure(images=40, rounds=1))
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["name"], found["images"]) == ("check", 40)
    assert all(found[key] > 0 for key in ("ratio", "cpu_ratio", "seconds", "again_seconds"))


def test_growth_tells_how_long_a_large_set_takes_to_open(capsys: pytest.CaptureFixture[str]) -> None:
    last_line("growth", growth.measure([20, 40], 16, opened=40))
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(found["growth"]) == set(growth.COSTS)
    assert found["open"]["images"] == 40
    assert 0 < found["open"]["seconds"] < 60


def test_predict_is_measured_beside_a_plain_loop(capsys: pytest.CaptureFixture[str]) -> None:
    last_line("predict", predict.measure(images=3, rounds=1, batch=2))
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["name"], found["images"], found["batch"]) == ("predict", 3, 2)
    assert all(found[key] > 0 for key in ("ratio", "serve_ratio", "predict_seconds", "loop_seconds", "serve_seconds"))


@pytest.mark.whole
@pytest.mark.usefixtures("prefect_backend")
def test_dask_is_measured_beside_bare_processes(capsys: pytest.CaptureFixture[str]) -> None:
    last_line("scale", scale.measure(96, rounds=1, preset="tiny"))
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["same_digest"], found["same_bytes"], found["workers"]) == (True, True, 2)
    assert all(found[key] > 0 for key in ("efficiency", "threads_efficiency", "bare_seconds", "dask_seconds"))
