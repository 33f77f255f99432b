"""Workers and schedulers that are lost, other versions, other data: what is redone, and what is said."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.flows.dask_cluster import content, own_workers, scheduler, worker
from tests.pace import wait_for
from wilss.errors import RunnerError
from wilss.settings import Settings
from wilss.spec import make_spec

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_backend"), pytest.mark.timeout(900)]
SPEC: dict[str, Any] = {"benchmark": "scenes-15-5", "preset": "tiny", "method": "finetune", "data": {"n_train": 240}}


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    import stores.labels.index as index

    monkeypatch.setattr(index, "SHARD_IMAGES", 2)


@pytest.fixture
def expected(tmp_path: Path, small_shards: None) -> dict[str, str]:
    """What threads write."""
    return relabelled(tmp_path / "threads")


def relabelled(root: Path, runner: str = "threads", workers: int = 2) -> dict[str, str]:
    from flows.relabel import run_relabel

    run_relabel(make_spec(SPEC), 1, Settings(root=root, runner=runner, workers=workers))
    return content(root, "labels")


@contextmanager
def killer(times: int, root: Path, seed: int = 0) -> Iterator[list[int]]:
    """Kill a worker of this process at random moments while labels are made; gives the processes that were killed."""
    killed: list[int] = []
    ended, rng = threading.Event(), random.Random(seed)

    def kill() -> None:
        while len(killed) < times and not ended.is_set():
            there = own_workers(os.getpid())
            if there and any((root / "labels").glob(".staging-*/labels.zarr/refined/c/*")):
                killed.append(rng.choice(there))
                os.kill(killed[-1], signal.SIGKILL)
            ended.wait(rng.uniform(0.2, 3))

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()


def test_a_killed_worker_is_made_up_for(
    tmp_path: Path, expected: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with killer(2, tmp_path / "dask") as killed:
        found = relabelled(tmp_path / "dask", "dask")
    assert len(killed) == 2
    assert found == expected
    said = capsys.readouterr().err
    assert "was lost; what it was at is done again" in said
    assert "Traceback" not in said
    assert "distributed" not in said


@pytest.mark.whole
def test_so_are_ten(tmp_path: Path, expected: dict[str, str]) -> None:
    with killer(10, tmp_path / "dask", seed=1) as killed:
        found = relabelled(tmp_path / "dask", "dask")
    assert len(killed) == 10
    assert found == expected
    assert own_workers(os.getpid()) == []


def test_one_part_may_end_many_workers(tmp_path: Path, expected: dict[str, str]) -> None:
    """More of them than a scheduler bears: it gives a part up after four, and here one worker does all."""
    with killer(6, tmp_path / "dask", seed=2) as killed:
        found = relabelled(tmp_path / "dask", "dask", workers=1)
    assert len(killed) == 6
    assert found == expected


def test_a_scheduler_that_is_gone_is_one_sentence_and_what_is_written_stays(
    tmp_path: Path, expected: dict[str, str]
) -> None:
    root = tmp_path / "dask"
    with scheduler() as (process, address), worker(address):

        def end() -> None:
            wait_for(lambda: any((root / "labels").glob(".staging-*/labels.zarr/refined/c/*")), 200, "a first shard")
            process.kill()

        thread = threading.Thread(target=end)
        thread.start()
        with pytest.raises(RunnerError) as told:
            relabelled(root, f"dask:{address}")
        thread.join()
    assert str(told.value) == (
        f"the Dask scheduler at '{address}' is gone; what is written stays: start it, then the same command again"
    )
    first = written(root, ".staging-*")
    assert first
    assert relabelled(root) == expected
    then = written(root, "??/*")
    assert {name: then[name] for name in first} == first, "it was made again"


def written(root: Path, folder: str) -> dict[str, int]:
    """Chunk of the refined masks -> when it was written."""
    found = [path for path in root.glob(f"labels/{folder}/labels.zarr/refined/c/**/*") if path.is_file()]
    return {str(path).partition("/refined/c/")[2]: path.stat().st_mtime_ns for path in found}


def fake(folder: Path, **versions: str) -> Path:
    """A folder of packages that say they are of these versions, and of another Python."""
    for name, version in versions.items():
        if name == "python":
            (folder / "sitecustomize.py").write_text(
                f"import platform\nplatform.python_version = lambda: {version!r}\n"
            )
            continue
        (folder / f"{name}-{version}.dist-info").mkdir()
        (folder / f"{name}-{version}.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
    return folder


@pytest.mark.parametrize(
    ("versions", "told"),
    [
        ({"wilss": "9.9"}, "has wilss 9.9; here is wilss 0."),
        ({"torch": "1.0+cu99"}, "has torch 1.0; here is torch 2."),
        ({"python": "3.99.1", "wilss": "9.9"}, "has Python 3.99, wilss 9.9; here is Python 3."),
    ],
)
def test_another_version_is_one_sentence_before_anything_is_computed(
    tmp_path: Path, versions: dict[str, str], told: str
) -> None:
    (tmp_path / "packages").mkdir()
    packages = fake(tmp_path / "packages", **versions)
    with scheduler() as (_, address), worker(address, packages), pytest.raises(RunnerError) as error:
        relabelled(tmp_path / "root", f"dask:{address}")
    assert str(error.value).startswith("the worker tcp://127.0.0.1:")
    assert told in str(error.value)
    assert str(error.value).endswith(": install the same there, and start it again")
    assert not (tmp_path / "root" / "labels").exists()


def test_a_worker_that_joins_later_with_another_version_is_told_too(tmp_path: Path) -> None:
    from flows.relabel import run_relabel

    (tmp_path / "packages").mkdir()
    packages = fake(tmp_path / "packages", wilss="9.9")
    with scheduler() as (_, address):
        late: list[Any] = []

        def join() -> None:
            time.sleep(2)
            late.append(worker(address, first=packages))
            late[0].__enter__()

        thread = threading.Thread(target=join)
        thread.start()
        try:
            with pytest.raises(RunnerError, match=r"has wilss 9.9; here is wilss"):
                run_relabel(make_spec(SPEC), 1, Settings(root=tmp_path / "root", runner=f"dask:{address}"))
        finally:
            thread.join()
            late[0].__exit__(None, None, None)


def test_other_data_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photographs that differ from one machine to the next: here the run is told to send others than it has."""
    from stores.plans.closed import ClosedRun

    real = ClosedRun.of.__func__  # type: ignore[attr-defined]

    def other(cls: type[ClosedRun], run: Any, there: Path) -> ClosedRun:
        closed = real(cls, run, there)
        data = {**closed.spec["data"], "n_train": 239}
        return ClosedRun({**closed.spec, "data": data}, closed.settings, closed.anew, closed.files, closed.there)

    monkeypatch.setattr(ClosedRun, "of", classmethod(other))
    with pytest.raises(RunnerError, match="has other data, weights or files of your own: its label set"):
        relabelled(tmp_path, "dask", workers=1)
