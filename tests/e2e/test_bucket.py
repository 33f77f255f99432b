"""Machines that share a bucket and nothing else: killed, at once, over a network that fails."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stores.artefacts import Store
from tests.e2e.test_kill import ROOT, read_until, trains, wait_for_the_end_of, wait_until
from tests.pace import wait_for
from tests.s3 import SECRET, Bucket
from wilss.layout import root_folder

pytestmark = [pytest.mark.slow, pytest.mark.whole, pytest.mark.timeout(1200)]
SMALL = ["--preset", "tiny", "--set", "data.n_train=800"]  # more than two shards of labels


def start(s3: Bucket, home: Path, *arguments: str, **how: Any) -> subprocess.Popen[str]:
    """A run on a machine whose cache is a folder."""
    command = [sys.executable, "-m", "flows.cli", "run", "scenes-15-5", *(arguments or SMALL), "--root", s3.address()]
    env = {**os.environ, **s3.environment, "OMP_NUM_THREADS": "1", "WILSS_CACHE": str(home)}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, **{**streams, **how})


def finish(s3: Bucket, home: Path, *arguments: str) -> str:
    process = start(s3, home, *arguments)
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    return output


def kill_at(s3: Bucket, home: Path, moment: str | Callable[[], bool]) -> None:
    process = start(s3, home, start_new_session=True)
    wait_until(process, moment)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
    wait_for_the_end_of(process.pid)


def labelled(output: str) -> set[int]:
    """Shards that a run made itself."""
    return {int(number) for number in re.findall(r"^labels, shard (\d+)", output, re.MULTILINE)}


def report_of(s3: Bucket) -> dict[str, Any]:
    (key,) = [key for key in s3.names() if key.endswith("/report.json")]
    report: dict[str, Any] = json.loads(s3.read(key))
    return report


def plain_report(root: Path) -> dict[str, Any]:
    """The same run in a folder."""
    command = [sys.executable, "-m", "flows.cli", "run", "scenes-15-5", *SMALL, "--root", str(root)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, check=True
    )
    assert not done.returncode
    (path,) = (root / "runs").glob("*/report.json")
    report: dict[str, Any] = json.loads(path.read_text())
    return report


def test_machines_that_are_killed_one_after_the_other_end_as_a_folder_would(s3: Bucket, tmp_path: Path) -> None:
    expected = plain_report(tmp_path / "plain")
    kill_at(s3, tmp_path / "a", lambda: trains(tmp_path / "a"))
    assert s3.commits() == []
    kill_at(s3, tmp_path / "a", "labels, shard ")
    assert len([one for one in s3.commits() if one.startswith("checkpoints")]) == 1
    kill_at(s3, tmp_path / "b", "step 1: fmwiss: ")  # another machine, which waits for the leases of the first
    assert len([one for one in s3.commits() if one.startswith("labels")]) == 1
    output = finish(s3, tmp_path / "c")
    report = report_of(s3)
    for key in ("steps", "label_sets", "artefacts"):
        assert report[key] == expected[key], output
    assert not [key for key in s3.names() if "/parts/" in key]


@pytest.mark.parametrize("faults", [0.0, 0.05])
def test_two_machines_at_once_make_everything_once_and_share_the_labels(
    s3: Bucket, tmp_path: Path, faults: float
) -> None:
    """The first that labels is stopped until the other one does: how fast each is decides nothing."""
    s3.environment["WILSS_LEASE_SECONDS"] = "600"  # the one that is stopped keeps its shard
    s3.network.faults = faults
    told = {name: tmp_path / f"{name}.txt" for name in "ab"}
    runs = {name: start(s3, tmp_path / name, stdout=path.open("w")) for name, path in told.items()}
    try:
        wait_for(lambda: any(labelled(path.read_text()) for path in told.values()), 300, "the first shard")
        first = min(told, key=lambda name: not labelled(told[name].read_text()))
        (other,) = set(told) - {first}
        runs[first].send_signal(signal.SIGSTOP)
        wait_for(lambda: labelled(told[other].read_text()), 120, "a shard of the other one", told[other].read_text)
        runs[first].send_signal(signal.SIGCONT)
        codes = [run.wait(900) for run in runs.values()]
    finally:
        for run in runs.values():
            run.kill()
    outputs = {name: path.read_text() for name, path in told.items()}
    assert codes == [0, 0], outputs
    s3.network.faults = 0.0
    written = [one for one in s3.network.seen if one.startswith("PUT") and "/commits/" in one]
    assert len(s3.commits()) == len(set(report_of(s3)["artefacts"].values()))
    assert len(set(written)) == len(s3.commits())
    made = [labelled(output) for output in outputs.values()]
    assert all(made), "both make some"
    assert not made[0] & made[1], "each shard is made by one of them"
    assert not any(SECRET in output for output in outputs.values())
    for name in told:
        root = next((tmp_path / name / "buckets").iterdir())
        assert Store(root).all("checkpoints")
    assert "report: found" in finish(s3, tmp_path / "c")


def test_one_goes_on_with_the_shards_of_one_that_vanished_and_is_back_later(s3: Bucket, tmp_path: Path) -> None:
    a = start(s3, tmp_path / "a")
    try:
        read_until(a, "labels, shard ")
        while not any("/parts/" in key for key in s3.names()):
            time.sleep(0.05)
        a.send_signal(signal.SIGSTOP)  # it renews no lease
        done = {int(found[1]) for key in s3.names() if (found := re.search(r"/parts/.*/shard-(\d+)\.json$", key))}
        output = finish(s3, tmp_path / "b")
        assert done
        assert not done & labelled(output), "they were there"
        assert labelled(output), "others were not"
        commits, report = s3.commits(), report_of(s3)
        a.send_signal(signal.SIGCONT)
        late, _ = a.communicate(timeout=400)
        assert a.returncode == 0, late
        assert s3.commits() == commits
        assert report_of(s3)["artefacts"] == report["artefacts"]
    finally:
        a.kill()


@pytest.mark.whole
def test_eight_machines_at_once(s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = ("--preset", "tiny", "--set", "data.n_train=160")
    runs = [start(s3, tmp_path / str(n), *few) for n in range(8)]
    try:
        outputs = [run.communicate(timeout=1100)[0] for run in runs]
    finally:
        for run in runs:
            run.kill()
    assert [run.returncode for run in runs] == [0] * 8, outputs
    assert len(s3.commits()) == len(set(report_of(s3)["artefacts"].values()))
    monkeypatch.setenv("WILSS_CACHE", str(tmp_path / "looks"))
    root = root_folder(s3.address())
    assert len(Store(root).all("checkpoints")) == 2
