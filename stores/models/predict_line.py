"""A line of three: files are decoded ahead in a thread, go through a network in batches, and are written in a thread.

What is decoded and not yet written stays within a budget; what is larger than that is alone in the line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Job = TypeVar("Job")
Read = TypeVar("Read")
Seen = TypeVar("Seen")
Written = TypeVar("Written")

AHEAD = 4
"""Files that are decoded ahead, and results that wait to be written."""
BUDGET = 128_000_000
"""Pixels of images that are in the line at once, 3 bytes each and as much again while they are drawn."""


@dataclass(frozen=True)
class Line(Generic[Job, Read, Seen, Written]):
    """What is done with each job.

    size: pixels of a job, looked at before it is read; 0 where it cannot be told. read: decode it. group: what may be
    in one batch. see: the network, on one batch, in the caller's thread. write: keep a result.
    """

    size: Callable[[Job], int]
    read: Callable[[Job], Read]
    group: Callable[[Read], Hashable]
    see: Callable[[Sequence[Read]], Sequence[Seen]]
    write: Callable[[Job, Read, Seen], Written]
    batch: int = 1
    budget: int = BUDGET

    def run(self, jobs: Iterable[Job]) -> Iterator[Written]:
        """What `write` returns of every job, in the order in which they are done."""
        with ThreadPoolExecutor(1, "reading") as reading, ThreadPoolExecutor(1, "writing") as writing:
            state = _State(self, reading, writing)
            try:
                for job in jobs:
                    size = self.size(job)
                    while state.held and state.held + size > self.budget:
                        yield from state.advance()
                    state.submit(job, size)
                    while len(state.reading) > AHEAD:
                        yield from state.advance()
                while state.busy:
                    yield from state.advance()
            finally:
                for pool in (reading, writing):
                    pool.shutdown(wait=False, cancel_futures=True)


class _State(Generic[Job, Read, Seen, Written]):
    """Where every job is. held: pixels of all of them."""

    def __init__(
        self, line: Line[Job, Read, Seen, Written], reading: ThreadPoolExecutor, writing: ThreadPoolExecutor
    ) -> None:
        self.line, self.pools, self.held = line, (reading, writing), 0
        self.reading: deque[tuple[Job, int, Future[Read]]] = deque()
        self.waiting: dict[Hashable, list[tuple[Job, int, Read]]] = {}
        self.writing: deque[tuple[int, Future[Written]]] = deque()

    @property
    def busy(self) -> bool:
        return bool(self.reading or self.waiting or self.writing)

    def submit(self, job: Job, size: int) -> None:
        self.held += size
        self.reading.append((job, size, self.pools[0].submit(self.line.read, job)))

    def advance(self) -> Iterator[Written]:
        """One step on: of what is read, else of what waits for a batch, else of what is written."""
        if self.reading:
            job, size, future = self.reading.popleft()
            read = future.result()
            del future
            group = self.waiting.setdefault(key := self.line.group(read), [])
            group.append((job, size, read))
            if len(group) >= self.line.batch or sum(map(len, self.waiting.values())) >= 2 * self.line.batch:
                self._see(key if len(group) >= self.line.batch else self._largest())
            while len(self.writing) > AHEAD * self.line.batch:
                yield self._written()
        elif self.waiting:
            self._see(self._largest())
        elif self.writing:
            yield self._written()

    def _largest(self) -> Hashable:
        return max(self.waiting, key=lambda key: len(self.waiting[key]))

    def _see(self, key: Hashable) -> None:
        group = self.waiting.pop(key)
        for (job, size, read), seen in zip(group, self.line.see([read for _, _, read in group]), strict=True):
            self.writing.append((size, self.pools[1].submit(self.line.write, job, read, seen)))

    def _written(self) -> Written:
        size, future = self.writing.popleft()
        done = future.result()
        self.held -= size
        return done
