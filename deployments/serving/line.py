"""The line before the network: images that wait together and have one size go through it in one pass."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from deployments.serving.models import Loaded
from wilss.device import memory_advice
from wilss.models.predict import logits_of


class FullError(Exception):
    """There is no room for so many images now. waiting: how many there are."""

    def __init__(self, waiting: int) -> None:
        super().__init__(waiting)
        self.waiting = waiting


@dataclass
class Room:
    """How many images may be read, wait and be computed at the same time."""

    most: int
    taken: int = 0

    @contextmanager
    def places(self, images: int) -> Iterator[None]:
        """Hold places for images while the block runs. Raises FullError where there are too few."""
        if self.taken + images > self.most:
            raise FullError(self.taken)
        self.taken += images
        try:
            yield
        finally:
            self.taken -= images


@dataclass(eq=False)
class _Job:
    loaded: Loaded
    image: Tensor
    done: asyncio.Future[Tensor] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def goes_with(self, other: _Job) -> bool:
        return self.loaded is other.loaded and self.image.shape == other.image.shape


class Line:
    """Images wait here for the one thread that computes; those of one size, for one model, go together.

    batch: images of a pass at most. passed: called with the number of each.
    """

    def __init__(self, batch: int, passed: Callable[[int], None]) -> None:
        self._batch, self._passed = batch, passed
        self._waiting: deque[_Job] = deque()
        self._news = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "network")

    def __len__(self) -> int:
        return len(self._waiting)

    async def logits(self, loaded: Loaded, image_3hw: Tensor) -> Tensor:
        """Logits float32 ``(1, 1 + C, h', w')`` of a uint8 image that fits the canvas; raises what the network does."""
        job = _Job(loaded, image_3hw)
        self._waiting.append(job)
        self._news.set()
        return await job.done

    async def serve(self) -> None:
        """Let the images pass, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            while jobs := self._next():
                await self._pass(jobs)

    def _next(self) -> list[_Job]:
        """The first that is still waited for, and those that go with it; the others keep their places."""
        waiting = [job for job in self._waiting if not job.done.done()]
        taken = [job for job in waiting if job.goes_with(waiting[0])][: self._batch]
        self._waiting = deque(job for job in waiting if job not in taken)
        return taken

    async def _pass(self, jobs: list[_Job]) -> None:
        images = torch.stack([job.image for job in jobs])
        running = asyncio.get_running_loop().run_in_executor(
            self._thread, logits_of, jobs[0].loaded.model.network, images
        )
        await asyncio.wait([running])  # raises nothing: who waits for an image gets the error
        error = running.exception()
        if isinstance(error, RuntimeError) and memory_advice(error) and len(jobs) > 1:
            for job in jobs:
                await self._pass([job])
            return
        self._passed(len(jobs))
        for place, job in enumerate(jobs):
            if not job.done.done():
                if error is not None:
                    job.done.set_exception(error)
                else:
                    job.done.set_result(running.result()[place : place + 1])

    def close(self) -> None:
        """Take no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
