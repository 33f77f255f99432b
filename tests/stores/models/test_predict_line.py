"""Three things at once, in order, and never more in memory than is allowed."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from stores.models.predict_line import AHEAD, Line


class Watch:
    """Jobs are numbers, which are their sizes too; it counts what is between reading and the end of writing."""

    def __init__(self) -> None:
        self.lock, self.held, self.most, self.most_jobs = threading.Lock(), dict[int, int](), 0, 0
        self.batches: list[list[int]] = []
        self.threads: dict[str, set[int]] = {"read": set(), "see": set(), "write": set()}

    def read(self, job: tuple[int, int]) -> tuple[int, int]:
        self.threads["read"].add(threading.get_ident())
        with self.lock:
            self.held[job[0]] = job[1]
            self.most = max(self.most, sum(self.held.values()))
            self.most_jobs = max(self.most_jobs, len(self.held))
        return job

    def see(self, group: Sequence[tuple[int, int]]) -> list[int]:
        self.threads["see"].add(threading.get_ident())
        self.batches.append([number for number, _ in group])
        return [10 * number for number, _ in group]

    def write(self, job: tuple[int, int], read: tuple[int, int], seen: int) -> int:
        self.threads["write"].add(threading.get_ident())
        assert job == read
        with self.lock:
            del self.held[job[0]]
        return seen

    def line(self, batch: int = 1, budget: int = 10**9) -> Line[tuple[int, int], tuple[int, int], int, int]:
        return Line(lambda job: job[1], self.read, lambda job: job[1] % 3, self.see, self.write, batch, budget)


def test_results_come_in_order_and_three_threads_work() -> None:
    watch = Watch()
    assert list(watch.line().run((number, 7) for number in range(50))) == [10 * number for number in range(50)]
    assert all(len(threads) == 1 for threads in watch.threads.values())
    assert len({thread for threads in watch.threads.values() for thread in threads}) == 3
    assert watch.threads["see"] == {threading.get_ident()}


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_batches_are_of_one_kind_and_nothing_is_lost(batch: int) -> None:
    watch, sizes = Watch(), [(number, (number * number) % 7) for number in range(40)]
    assert sorted(watch.line(batch).run(sizes)) == [10 * number for number in range(40)]
    for group in watch.batches:
        assert 1 <= len(group) <= batch
        assert len({dict(sizes)[number] % 3 for number in group}) == 1
    assert max(map(len, watch.batches)) == batch if batch < 16 else max(map(len, watch.batches)) > 4


@pytest.mark.parametrize("batch", [1, 4])
def test_what_is_in_memory_stays_within_the_budget(batch: int) -> None:
    watch = Watch()
    jobs = [(number, size) for number, size in enumerate([5, 5, 60, 5, 200, 5, 5, 0, 30, 99, 5] * 4)]
    assert len(list(watch.line(batch, budget=100).run(jobs))) == len(jobs)
    assert watch.most <= 200, "what is larger than the budget is alone"
    few = Watch()
    assert len(list(few.line(batch, budget=20).run((number, 5) for number in range(60)))) == 60
    assert few.most <= 20


def test_few_are_read_ahead_of_a_reader_who_stops() -> None:
    watch = Watch()
    results = watch.line().run((number, 1) for number in range(1000))
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    assert len(watch.threads["read"]) == 1
    assert len(watch.batches) <= 2 * AHEAD + 2


@pytest.mark.parametrize("where", ["read", "see", "write"])
def test_an_error_ends_the_line(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    whole = getattr(watch, where)

    def failing(*given: object) -> object:
        if "7" in str(given):
            raise OSError(f"{where} failed")
        return whole(*given)

    monkeypatch.setattr(watch, where, failing)
    with pytest.raises(OSError, match=f"{where} failed"):
        list(watch.line().run((number, 1) for number in range(100)))
