"""Mapping over Dask's workers: what is lost is done again, and what cannot be done is one sentence."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import flows.dask_mapping as dask_mapping
from flows.dask_mapping import DaskMapping
from flows.dask_workers import _runner
from flows.runners import Shown
from tasks.workers import RunElsewhere
from tests.flows.dask_cluster import own_workers, scheduler, worker
from tests.flows.light_task import deadly, refused, squared
from tests.pace import wait_for
from wilss.errors import RunnerError, SpecError
from wilss.settings import Settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.whole,
    pytest.mark.usefixtures("prefect_backend"),
    pytest.mark.timeout(600),
]
said: list[str] = []


@pytest.fixture(autouse=True)
def nothing_said() -> None:
    said.clear()


def mapped(task: Any, parts: int, runner: str = "dask", workers: int = 2, **same: Any) -> list[Any]:
    """Results of a task over parts, inside a flow."""
    from prefect import flow

    settings = Settings(runner=runner, workers=workers)

    def once(key: object, make: Callable[[], Any]) -> Any:
        return make()

    run = SimpleNamespace(settings=settings, session=SimpleNamespace(say=said.append, once=once))

    @flow(persist_result=False)
    def mapping() -> list[Any]:
        with _runner(settings) as started:
            given = [{"part": part, **same} for part in range(parts)]
            shown = Shown("light", "square", [1] * parts)
            ended = DaskMapping(run, started, RunElsewhere("light"), task, given, shown).ended()  # type: ignore[arg-type]
            return [future.result() for future in ended]

    return mapping()


def test_own_workers_keep_what_they_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else torch asks the system for every tensor anew, and workers are half as fast; all else is as Dask has it."""
    monkeypatch.setenv("WORD_OF_THE_USER", "kept")
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    with _runner(Settings(runner="dask", workers=1)) as started:
        ((_, there),) = started.client.run(lambda: dict(os.environ)).items()
    assert "MALLOC_TRIM_THRESHOLD_" not in there
    assert (there["OMP_NUM_THREADS"], there["WORD_OF_THE_USER"]) == ("1", "kept")


def test_every_part_is_done_once_by_several_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mapped(squared, 20, folder=tmp_path) == [part * part for part in range(20)]
    done = [path.name.split() for path in tmp_path.iterdir()]
    assert sorted(int(part) for part, _ in done) == list(range(20))
    assert len({pid for _, pid in done}) == 2
    assert os.getpid() not in {int(pid) for _, pid in done}
    assert "light: square 20/20" in capsys.readouterr().err
    assert said == []
    assert own_workers(os.getpid()) == []


def test_workers_that_are_killed_at_ten_random_moments_change_nothing(tmp_path: Path) -> None:
    killed: list[int] = []
    rng, ended = random.Random(0), threading.Event()

    def kill() -> None:
        while len(killed) < 10 and not ended.is_set():
            there = [pid for pid in own_workers(os.getpid()) if pid not in killed]
            if there and any(tmp_path.iterdir()):
                with suppress(ProcessLookupError):
                    killed.append(rng.choice(there))
                    os.kill(killed[-1], signal.SIGKILL)
            ended.wait(rng.uniform(0.1, 1.5))

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        assert mapped(squared, 400, folder=tmp_path) == [part * part for part in range(400)]
    finally:
        ended.set()
        thread.join()
    assert len(killed) == 10
    assert any("was lost; what it was at is done again" in line for line in said)
    assert own_workers(os.getpid()) == []


def test_one_part_may_end_more_workers_than_a_scheduler_bears(tmp_path: Path) -> None:
    """It gives a part up that four workers died of."""
    assert mapped(deadly, 3, workers=1, folder=tmp_path, times=6) == [0, 1, 2]
    assert len(list(tmp_path.glob("died *"))) == 6


def test_a_part_that_ends_every_worker_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_mapping, "ROUNDS", 0)
    with pytest.raises(RunnerError, match="light: every worker that takes part 1 ends, 4 by now; look at its memory"):
        mapped(deadly, 3, folder=tmp_path, times=100)


def test_what_goes_wrong_in_a_part_is_raised() -> None:
    with pytest.raises(SpecError, match=r"^part \d says no$"):
        mapped(refused, 3)


def test_a_scheduler_that_goes_is_one_sentence(tmp_path: Path) -> None:
    with scheduler() as (process, address), worker(address):

        def end() -> None:
            wait_for(lambda: any(tmp_path.iterdir()), 100, "a first part")
            process.kill()

        thread = threading.Thread(target=end)
        thread.start()
        with pytest.raises(RunnerError) as told:
            mapped(squared, 400, f"dask:{address}", folder=tmp_path)
        thread.join()
    assert str(told.value) == (
        f"the Dask scheduler at '{address}' is gone; what is written stays: start it, then the same command again"
    )


def test_without_a_worker_it_waits_and_says_so(tmp_path: Path) -> None:
    with scheduler() as (_, address):
        late: list[Iterator[Any]] = []

        def join() -> None:
            wait_for(lambda: bool(said), 60, "what is said")
            late.append(worker(address))  # type: ignore[arg-type]
            late[0].__enter__()  # type: ignore[attr-defined]

        thread = threading.Thread(target=join)
        thread.start()
        try:
            assert mapped(squared, 2, f"dask:{address}", folder=tmp_path) == [0, 1]
        finally:
            thread.join()
            late[0].__exit__(None, None, None)  # type: ignore[attr-defined]
    assert said == [f"no worker is at {address}; waiting for one: start it with 'dask worker {address}'"]
