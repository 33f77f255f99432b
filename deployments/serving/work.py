"""From the bytes of an image to what is answered: decoded and drawn by two threads, computed in the line by one.

Images in their own size are held by these two threads alone: what waits is as large as the canvas, or encoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

from torch import Tensor

from deployments.serving.answers import ImageSeen, overlay_png, palette_png, seen
from deployments.serving.line import Line, Room
from deployments.serving.metrics import Metrics
from deployments.serving.models import Loaded, Models
from deployments.serving.options import Options
from deployments.serving.pictures import Shown, shown
from wilss.data.files import as_rgb, decoding, header_of, opened
from wilss.data.images import to_canvas
from wilss.models.predict import labels_of

HANDS = 2
"""Threads that decode and draw."""
P = ParamSpec("P")
T = TypeVar("T")


class TooManyPixelsError(Exception):
    """An image that is larger than this server takes; said before it is decoded."""


class Upload(NamedTuple):
    """An image as it was sent. name: of the file, for messages and answers alone."""

    name: str
    content: bytes


class Ready(NamedTuple):
    """An image before the network: uint8 ``(3, h, w)`` that fits the canvas, and its own height and width."""

    small: Tensor
    size: tuple[int, int]


@dataclass
class Work:
    """What one server has: models, the line before the network, and hands."""

    options: Options
    metrics: Metrics
    models: Models

    def __post_init__(self) -> None:
        self.room = Room(self.options.queue)
        self.line = Line(self.options.batch, self.metrics.passed, self.options.loose)
        self._hands = ThreadPoolExecutor(HANDS, "hand")
        self.metrics.watch(lambda: len(self.line), lambda: self.room.taken)
        self.metrics.behind(lambda: bool(self.models.problem))

    async def json(self, loaded: Loaded, uploads: Sequence[Upload]) -> list[ImageSeen]:
        """What each image shows. Raises as `_see`."""
        return await self._see(loaded, uploads, lambda upload, labels: seen(loaded, upload.name, labels))

    async def png(self, loaded: Loaded, upload: Upload) -> bytes:
        """Class ids of one image as a palette PNG. Raises as `_see`."""
        (found,) = await self._see(loaded, [upload], lambda _, labels: palette_png(loaded, labels))
        return found

    async def overlay(self, loaded: Loaded, upload: Upload) -> bytes:
        """Colours of the classes over one image. Raises as `_see`."""

        def draw(upload: Upload, labels: Tensor) -> bytes:
            return overlay_png(loaded, decoded(upload, self.options.max_pixels), labels)

        (found,) = await self._see(loaded, [upload], draw)
        return found

    async def page(self, loaded: Loaded, upload: Upload) -> Shown:
        """Pictures and numbers of one image for a page. Raises as `_see`."""

        def draw(upload: Upload, labels: Tensor) -> Shown:
            return shown(loaded, upload.name, decoded(upload, self.options.max_pixels), labels)

        (found,) = await self._see(loaded, [upload], draw)
        return found

    async def _see(self, loaded: Loaded, uploads: Sequence[Upload], finish: Callable[[Upload, Tensor], T]) -> list[T]:
        """Let images through the network together, and make of each what is asked for.

        Raises DataError for the first that is no image, TooManyPixelsError, and what PyTorch does without memory.
        """
        card = loaded.model.card
        ready = [await self.by_hand(self._ready, upload, card.input.canvas) for upload in uploads]
        logits = await asyncio.gather(*(self.line.logits(loaded, one.small) for one in ready))

        def last(place: int) -> T:
            return finish(uploads[place], labels_of(logits[place], ready[place].size, card))

        return [await self.by_hand(last, place) for place in range(len(uploads))]

    def _ready(self, upload: Upload, canvas: int) -> Ready:
        image = decoded(upload, self.options.max_pixels)
        return Ready(to_canvas(image, canvas), (image.shape[1], image.shape[2]))

    async def by_hand(self, call: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """What a call returns, made by one of the threads that decode and draw."""
        return await asyncio.get_running_loop().run_in_executor(self._hands, partial(call, *given, **named))

    def close(self) -> None:
        """Take no more."""
        self.line.close()
        self.models.close()
        self._hands.shutdown(wait=False, cancel_futures=True)


def decoded(upload: Upload, most_pixels: int) -> Tensor:
    """The pixels of an image, as `wilss.data.files.read_rgb` gives them; uint8 ``(3, H, W)``.

    Raises DataError for what is no image, TooManyPixelsError for one that is too large, before it is decoded.
    """
    path = Path(upload.name)
    with opened(path, upload.content) as image, decoding(path):
        height, width = header_of(image).size
        if height * width > most_pixels:
            raise TooManyPixelsError(
                f"'{upload.name}' has {width} x {height} pixels, more than {most_pixels}; shrink it, or start the "
                "server with a larger --max-pixels"
            )
        return as_rgb(image)
