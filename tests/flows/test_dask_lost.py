"""Workers and schedulers that are lost, other versions, other data: what is redone, and what is said."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.flows.dask_cluster import content, own_workers, scheduler, worker
from tests.pace import wait_for
from wilss.errors import RunnerError
from wilss.settings import Settings
from wilss.spec import make_spec

pytestmark = [pytest.mark.slow, pytest.mark.whole, pytest.mark.usefixtures("prefect_backend"), pytest.mark.timeout(900)]
SPEC: dict[str, Any] = {"benchmark": "scenes-15-5", "preset": "tiny", "method": "finetune", "data": {"n_train": 240}}


@pytest.fixture(scope="module", autouse=True)
def small_shards() -> Iterator[None]:
    import stores.labels.index as index

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(index, "SHARD_IMAGES", 2)
        yield


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, prefect_backend: None) -> dict[str, str]:
    """What threads write."""
    return relabelled(tmp_path_factory.mktemp("threads"))


def relabelled(root: Path, runner: str = "threads", workers: int = 2) -> dict[str, str]:
    from flows.relabel import run_relabel

    run_relabel(make_spec(SPEC), 1, Settings(root=root, runner=runner, workers=workers))
    return content(root, "labels")


@contextmanager
def killing(kill: Callable[[], int], times: int) -> Iterator[list[int]]:
    """Call ``kill`` again and again until it has killed so many processes; gives those, 0 is none."""
    killed: list[int] = []
    ended = threading.Event()

    def work() -> None:
        while len(killed) < times and not ended.wait(0.02):
            if pid := kill():
                killed.append(pid)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()


def at_random(root: Path, times: int, shards: int, seed: int) -> Callable[[], int]:
    """Kills any worker of this process whenever a random number of shards is written."""
    rng = random.Random(seed)
    moments = sorted(rng.sample(range(1, shards - 8), times), reverse=True)

    def kill() -> int:
        there = own_workers(os.getpid())
        if not moments or not there or len(written(root, ".staging-*")) < moments[-1]:
            return 0
        moments.pop()
        time.sleep(rng.uniform(0, 0.3))
        return slain(rng.choice(there))

    return kill


def at_shard(root: Path, shard: int) -> Callable[[], int]:
    """Kills whoever writes a shard."""
    before: set[int] = set()

    def kill() -> int:
        for holder in (root / "labels").glob(f".staging-*.shard {shard}.lock.pid"):
            with suppress(OSError, ValueError, IndexError):  # it is being written
                pid = int(holder.read_text().split()[0])
                if pid not in before:
                    before.add(pid)
                    return slain(pid)
        return 0

    return kill


def slain(pid: int) -> int:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return pid
    return 0


def test_a_killed_worker_is_made_up_for(
    tmp_path: Path, expected: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    shards = len([name for name in expected if "/refined/c/" in name])
    with killing(at_random(tmp_path, 2, shards, seed=0), 2) as killed:
        found = relabelled(tmp_path, "dask")
    assert len(killed) == 2
    assert found == expected
    said = capsys.readouterr().err
    assert "was lost; what it was at is done again" in said
    assert "Traceback" not in said
    assert "distributed" not in said


@pytest.mark.whole
def test_so_are_ten_of_them(tmp_path: Path, expected: dict[str, str]) -> None:
    shards = len([name for name in expected if "/refined/c/" in name])
    with killing(at_random(tmp_path, 10, shards, seed=1), 10) as killed:
        found = relabelled(tmp_path, "dask")
    assert len(killed) == 10
    assert found == expected
    assert own_workers(os.getpid()) == []


@pytest.mark.whole
def test_one_part_may_end_more_workers_than_a_scheduler_bears(tmp_path: Path, expected: dict[str, str]) -> None:
    """It gives a part up that four workers died of."""
    with killing(at_shard(tmp_path, 0), 6) as killed:
        found = relabelled(tmp_path, "dask", workers=1)
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
    chunks = root.glob(f"labels/{folder}/labels.zarr/refined/c/**/*")
    found = [path for path in chunks if path.is_file() and path.suffix != ".partial"]
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


def test_a_worker_that_says_nothing_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.dask_versions.ANSWER_SECONDS", 3.0)
    with scheduler() as (_, address), worker(address), worker(address) as frozen:
        frozen.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(RunnerError) as error:
                relabelled(tmp_path / "root", f"dask:{address}")
        finally:
            frozen.send_signal(signal.SIGCONT)
    assert str(error.value).startswith("workers that say nothing within 3 s: tcp://127.0.0.1:")
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
        return closed.model_copy(update={"spec": {**closed.spec, "data": data}})

    monkeypatch.setattr(ClosedRun, "of", classmethod(other))
    with pytest.raises(
        RunnerError, match="has other data, weights or files of your own: its labels of step 1 would be"
    ):
        relabelled(tmp_path, "dask", workers=1)
