"""Runs on Dask that are stopped or killed leave no worker behind; and a deployment that asks for Dask."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.serving import TINY, processes, serving
from tests.e2e.test_kill import read_until, start, wait_for_the_end_of
from tests.pace import wait_for, within

pytestmark = [pytest.mark.slow, pytest.mark.whole, pytest.mark.timeout(600)]
LABELLING = "labels of step 1: label"
DASK = ("--runner", "dask", "--workers", "2", "--set", "data.n_train=4000")


@pytest.fixture
def labelling(tmp_path: Path) -> subprocess.Popen[str]:
    """A run whose workers label."""

    def heed_control_c() -> None:  # what runs in the background of a shell, as CI may, is born deaf to it
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = start(tmp_path, *DASK, start_new_session=True, preexec_fn=heed_control_c)
    read_until(process, LABELLING)
    assert len(workers(process.pid)) == 2
    return process


def workers(group: int) -> list[int]:
    """Processes of Dask in a group."""
    found = [pid for pid, _, words in processes() if "multiprocessing.spawn" in words]
    return [pid for pid in found if group_of(pid) == group]


def group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def test_control_c_ends_the_workers_too_in_one_sentence(labelling: subprocess.Popen[str]) -> None:
    os.killpg(labelling.pid, signal.SIGINT)  # as a terminal does: all processes of the command
    with within(15):
        output, _ = labelling.communicate(timeout=150)
    assert labelling.returncode == 130
    assert output.strip().splitlines()[-1] == "wilss: stopped; the same command goes on where it stopped"
    assert "Traceback" not in output
    assert "distributed" not in output
    wait_for_the_end_of(labelling.pid)  # Python's tracker of semaphores cleans up after the others


def test_sigterm_to_the_command_alone_ends_them_too(labelling: subprocess.Popen[str]) -> None:
    labelling.send_signal(signal.SIGTERM)
    output, _ = labelling.communicate(timeout=150)
    assert labelling.returncode == 143
    assert "Traceback" not in output
    wait_for(lambda: not workers(labelling.pid), 10, "the end of the workers")


def test_a_killed_command_takes_its_workers_with_it(labelling: subprocess.Popen[str]) -> None:
    labelling.kill()
    labelling.communicate(timeout=60)
    wait_for(lambda: not workers(labelling.pid), 20, "the end of the workers")
    assert labelling.returncode == -signal.SIGKILL, "it was at work"


def test_a_deployment_takes_the_runner_as_a_setting(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        run = service.trigger("relabel/default", spec=TINY, step=1, settings={"runner": "dask", "workers": 2})
        service.finish(run)
        logs = [row["message"] for row in service.api.rows("/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})]
        assert any(re.match(r"labels of step 1: label (\d+)/\1, .* images/s", line) for line in logs), logs
        assert len(list((service.root / "labels").glob("??/*/manifest.json"))) == 1
        assert not [words for _, _, words in processes() if "multiprocessing.spawn" in words and str(tmp_path) in words]
