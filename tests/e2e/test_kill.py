"""Killed runs that are started again end as if nothing had happened; runs side by side share what they make."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.pace import wait_for, within

ROOT = Path(__file__).parents[2]
SMALL = ["--preset", "tiny", "--set", "data.n_train=800"]  # more than two shards of labels

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def start(root: Path, *arguments: str, **how: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flows.cli", "run", "scenes-15-5", *SMALL, *arguments, "--root", str(root)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, **{**streams, **how})


def finish(root: Path) -> dict[str, Any]:
    process = start(root)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    (path,) = (root / "runs").glob("*/report.json")
    report: dict[str, Any] = json.loads(path.read_text())
    return report


def trains(folder: Path) -> bool:
    """Whether a student is in the making; what is printed of a short training comes at its end."""
    return any(path.is_dir() for path in folder.rglob("checkpoints/.staging-*"))


def wait_until(process: subprocess.Popen[str], moment: str | Callable[[], bool]) -> None:
    """Until a line begins so, or it is so."""
    if isinstance(moment, str):
        read_until(process, moment)
    else:
        wait_for(lambda: moment() or process.poll() is not None, 120, "the moment")
        assert process.poll() is None


def kill_at(root: Path, moment: str | Callable[[], bool]) -> None:
    process = start(root, start_new_session=True)
    wait_until(process, moment)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
    wait_for_the_end_of(process.pid)  # its server ends too


def read_until(process: subprocess.Popen[str], line_start: str) -> None:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line.startswith(line_start):
            return
    pytest.fail(f"'{line_start}' never came:\n{''.join(seen)}")


def wait_for_the_end_of(group: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    pytest.fail("a process that was started by the killed one lives on")


def files(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in (folder / "c").rglob("*") if p.is_file()}


def test_killed_and_run_again(tmp_path: Path) -> None:
    expected = finish(tmp_path / "whole")
    cut = tmp_path / "cut"
    kill_at(cut, lambda: trains(cut))  # in the middle of base training
    assert not list((cut / "checkpoints").glob("??/*"))
    kill_at(cut, "labels, shard 1")
    (staging,) = (cut / "labels").glob(".staging-" + "[0-9a-f]" * 32)
    before = files(staging / "labels.zarr" / "refined")
    assert before
    first_shard = "c/0/0/0"
    base = {p: p.stat().st_mtime_ns for p in (cut / "checkpoints").glob("??/*/*")}
    assert base
    kill_at(cut, "step 1: fmwiss: ")
    (published,) = {path.parent for path in (cut / "labels").glob("??/*/manifest.json")}
    assert files(published / "labels.zarr" / "refined")[first_shard] == before[first_shard]
    report = finish(cut)
    assert report["steps"] == expected["steps"]
    assert report["label_sets"] == expected["label_sets"]
    assert report["artefacts"] == expected["artefacts"]
    assert {p: p.stat().st_mtime_ns for p in base} == base
    assert not list(cut.glob("*/.staging-*"))


def test_two_runs_on_one_store_share_what_they_make(tmp_path: Path) -> None:
    few = ("--set", "data.n_train=160")
    runs = [start(tmp_path, *few)]
    try:
        wait_until(runs[0], lambda: trains(tmp_path))
        runs[0].send_signal(signal.SIGSTOP)  # so that it cannot be done before the second one asks for the same
        runs.append(start(tmp_path, *few))
        read_until(runs[1], "another process is building checkpoints")
        runs[0].send_signal(signal.SIGCONT)
        outputs = [run.communicate(timeout=300)[0] for run in runs]
    finally:
        for run in runs:
            run.kill()
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert len(list((tmp_path / "checkpoints").glob("??/*/manifest.json"))) == 2  # two steps, each made once
    assert not list(tmp_path.glob("*/.staging-*"))


@pytest.mark.whole
def test_eight_equal_commands_end_well_and_make_everything_once(tmp_path: Path) -> None:
    runs = [start(tmp_path, "--set", "data.n_train=160") for _ in range(8)]
    try:
        outputs = [run.communicate(timeout=550)[0] for run in runs]
    finally:
        for run in runs:
            run.kill()
    assert [run.returncode for run in runs] == [0] * 8, outputs
    made = [path.parent.name for path in tmp_path.glob("*/??/*/manifest.json")]
    assert len(made) == len(set(made))
    assert len(list((tmp_path / "checkpoints").glob("??/*/manifest.json"))) == 2
    assert not list(tmp_path.glob("*/.staging-*"))
    assert not list(tmp_path.glob("quarantine/*/*"))
    first = [output for output in outputs if "waiting for it" not in output and ": found, made" not in output]
    assert len(first) <= 1, "the others say that they waited, or what they found"


@pytest.mark.timeout(120)
def test_control_c_ends_in_one_sentence(tmp_path: Path) -> None:
    def heed_control_c() -> None:  # what runs in the background of a shell, as CI may, is born deaf to it
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = start(tmp_path, "--set", "base.epochs=100", start_new_session=True, preexec_fn=heed_control_c)
    try:
        read_until(process, "base student: base")
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all processes of the command
        with within(15):
            output, _ = process.communicate(timeout=150)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert "Traceback" not in output
    assert output.strip().splitlines()[-1] == "wilss: stopped; the same command goes on where it stopped"
    with pytest.raises(ProcessLookupError):  # its server is gone with it
        os.killpg(process.pid, 0)


def pretrain(out: Path, root: Path) -> subprocess.Popen[bytes]:
    settings = ["n_images=64", "batch_size=16", "steps=24", "save_every=2", "prototypes=32"]
    command = [sys.executable, "-m", "flows.cli", "pretrain", "dino", "--out", str(out), "--root", str(root)]
    arguments = [part for setting in settings for part in ("--set", setting)]
    return subprocess.Popen([*command, *arguments], cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})


@pytest.mark.whole
def test_killed_pretraining_ends_with_the_same_weights(tmp_path: Path) -> None:
    assert pretrain(tmp_path / "whole", tmp_path / "root").wait(240) == 0
    cut = tmp_path / "cut"
    process = pretrain(cut, tmp_path / "root2")
    deadline = time.monotonic() + 120
    while not (cut / "state.pt").is_file():
        assert process.poll() is None, "it finished before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait(30)
    assert not list(cut.glob("*.safetensors"))
    assert pretrain(cut, tmp_path / "root2").wait(240) == 0
    whole, resumed = (load_file(folder / "dino_scenes.safetensors") for folder in (tmp_path / "whole", cut))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert {path.name for path in cut.iterdir()} == {"dino_scenes.safetensors"}
