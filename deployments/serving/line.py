"""The line before the network: images that wait together and have one size go through it in one pass.

An answer does not depend on what went through with it, not by a bit. Libraries choose their kernels by the shape of a
batch too, and some of them add in another order; then a pixel between two classes may become the other one. So when a
shape is met for the first time, noise of this shape goes through together and one by one, and only where both are the
same to the last bit do images of this shape go together from then on.
"""

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
from wilss.models.maps import output_maps

SHAPES = 1000
"""Of batches, for which it is kept whether they may go together."""


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
        alike = self.image.shape == other.image.shape and self.image.stride() == other.image.stride()
        return alike and self.loaded is other.loaded


class Line:
    """Images wait here for the one thread that computes; those of one size, for one model, go together.

    batch: images of a pass at most. passed: called with the number of each. loose: images go together also where that
    changes the last digits of their logits.
    """

    def __init__(self, batch: int, passed: Callable[[int], None], loose: bool = False) -> None:
        self._batch, self._passed, self._loose = batch, passed, loose
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
        taken = taken[: _power_of_two(len(taken))]  # few shapes, which are soon known
        self._waiting = deque(job for job in waiting if job not in taken)
        return taken

    async def _pass(self, jobs: list[_Job]) -> None:
        images = [job.image for job in jobs]
        running = asyncio.get_running_loop().run_in_executor(self._thread, _logits, jobs[0].loaded, images, self._loose)
        await asyncio.wait([running])  # raises nothing: who waits for an image gets the error
        error = running.exception()
        if isinstance(error, RuntimeError) and memory_advice(error) and len(jobs) > 1:
            for job in jobs:
                await self._pass([job])
            return
        for size in [len(jobs)] if error is not None else running.result()[1]:
            self._passed(size)
        for place, job in enumerate(jobs):
            if not job.done.done():
                if error is not None:
                    job.done.set_exception(error)
                else:
                    job.done.set_result(running.result()[0][place : place + 1])

    def close(self) -> None:
        """Take no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _power_of_two(number: int) -> int:
    """The largest that is not greater; 0 for 0."""
    return 1 << (number.bit_length() - 1) if number else 0


def _logits(loaded: Loaded, images_3hw: list[Tensor], loose: bool) -> tuple[Tensor, list[int]]:
    """Logits as of each image alone, float32 ``(N, 1 + C, h', w')``, and how many images went in each pass."""
    network, count = loaded.model.network, len(images_3hw)
    kind = (count, *images_3hw[0].shape, *images_3hw[0].stride())
    if count > 1 and (loose or loaded.alike.get(kind, False)):
        return output_maps(network, _stacked(images_3hw)), [count]
    alone = torch.cat([output_maps(network, image[None]) for image in images_3hw])
    if count > 1 and kind not in loaded.alike:
        while len(loaded.alike) >= SHAPES:
            del loaded.alike[next(iter(loaded.alike))]
        loaded.alike[kind] = _is_alike(loaded, images_3hw[0], count)
    return alone, [1] * count


def _is_alike(loaded: Loaded, like_3hw: Tensor, count: int) -> bool:
    """Whether so many images of noise come out of one pass as each alone; plain ones may do so by chance."""
    network, dice = loaded.model.network, torch.Generator().manual_seed(0)
    noise = [torch.empty_like(like_3hw).random_(0, 256, generator=dice) for _ in range(count)]
    try:
        together = output_maps(network, _stacked(noise))
    except RuntimeError as error:
        if memory_advice(error) is None:
            raise
        return False  # so many do not fit the memory
    return all(torch.equal(together[k : k + 1], output_maps(network, one[None])) for k, one in enumerate(noise))


def _stacked(images_3hw: list[Tensor]) -> Tensor:
    """A batch whose values lie in the memory as those of the images do: kernels are chosen by that too."""
    beside = images_3hw[0].stride(0) == 1 and images_3hw[0][0].numel() > 1
    layout = torch.channels_last if beside else torch.contiguous_format
    return torch.stack(images_3hw).contiguous(memory_format=layout)
