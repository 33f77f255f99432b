"""Processes of a training: what went wrong in one is told, and none is left, whoever ends first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from tests.wilss.on_ranks import CPUS, on_two
from wilss.errors import DamagedArtefactError, TrainingError
from wilss.packages import python_path
from wilss.parallel.launch import on_each

WAITS = "tests.wilss.on_ranks:waits"


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ("training", TrainingError, "the loss was not finite"),
        ("damage", DamagedArtefactError, "shard 3 is gone; make it again"),
        ("memory", torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 2 GiB"),
        ("disk", OSError, "[Errno 28] No space left on device: '/store/x'"),
        ("killed", TrainingError, "process 2 of 2 of the training was ended by SIGKILL"),
        ("odd", TrainingError, "process 2 of 2 of the training failed (ZeroDivisionError: odd)"),
    ],
)
def test_what_one_process_raises_is_raised_here(
    how: str, kind: type[Exception], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(kind) as error:
        on_two("fails", how=how)
    assert str(error.value).startswith(said)
    if isinstance(error.value, DamagedArtefactError):
        assert (error.value.folder, error.value.file) == (Path("/store/labels/ab"), "3")
    assert ("ZeroDivisionError: odd" in capfd.readouterr().err) is (how == "odd"), "where it failed, for who looks"


def there(pid: int) -> bool:
    """Whether a process lives, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(true: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


def pids(folder: Path) -> list[int]:
    """Of both processes, once they are at work."""
    assert until(lambda: all((folder / str(k)).is_file() and (folder / str(k)).read_text() for k in (0, 1)), 120)
    return [int((folder / str(k)).read_text()) for k in (0, 1)]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("rank", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_where_one_is_killed_all_are_gone_within_ten_seconds(tmp_path: Path, rank: int) -> None:
    told: list[Any] = []
    raised: list[Exception] = []

    def wait() -> None:
        try:
            on_each(WAITS, {"folder": str(tmp_path)}, CPUS, lambda kind, content: told.append((kind, content)))
        except TrainingError as error:
            raised.append(error)

    thread = Thread(target=wait)
    thread.start()
    both = pids(tmp_path)
    os.kill(both[rank], signal.SIGKILL)
    thread.join(10)
    assert not thread.is_alive()
    assert not any(map(there, both))
    assert told == [("moved", ["waits", 1, 2, 0.5])], "what the second one tells, and what libraries print, is not news"
    assert str(raised[0]) == (
        f"process {rank + 1} of 2 of the training was ended by SIGKILL, as the system does when memory runs out, and "
        "the others were ended; start it again and it goes on from what it kept last"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGTERM, signal.SIGINT))]
)
def test_whoever_watches_takes_them_along(tmp_path: Path, number: signal.Signals) -> None:
    script = (
        f"from wilss.parallel.launch import on_each\non_each({WAITS!r}, {{'folder': {str(tmp_path)!r}}}, {CPUS}, print)"
    )
    environment = {**os.environ, "PYTHONPATH": python_path()}
    parent = subprocess.Popen([sys.executable, "-c", script], env=environment, stderr=subprocess.DEVNULL)
    both = pids(tmp_path)
    parent.send_signal(number)
    assert until(lambda: not any(map(there, both)), 10)
    parent.wait(10)
