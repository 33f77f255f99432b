"""Images of a list on a square canvas, decoded once."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from wilss.data.order import Reading
from wilss.data.room import Room
from wilss.data.source import VOID, Distant, Source

HUGE = 8
"""Images this many times larger than the canvas are shrunk by Pillow."""
AT_ONCE = 64
"""Images that are brought together."""


def to_canvas(image: Tensor, canvas: int, nearest: bool = False) -> Tensor:
    """Shrink uint8 ``(C, H, W)`` so that its longer side is at most ``canvas``; smaller images stay as they are."""
    height, width = image.shape[-2:]
    longest = max(height, width)
    if longest <= canvas:
        return image
    size = (max(1, round(height * canvas / longest)), max(1, round(width * canvas / longest)))
    if nearest:
        return F.interpolate(image[None].float(), size, mode="nearest-exact")[0].to(torch.uint8)
    if longest > HUGE * canvas:  # eight bits at a time: a float copy of a 12,000-pixel image takes gigabytes
        small = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).resize(size[::-1], reducing_gap=3.0)
        return torch.from_numpy(np.array(small)).permute(2, 0, 1)
    resized = F.interpolate(image[None].float(), size, mode="bilinear", antialias=True)
    return resized[0].round().clamp(0, 255).to(torch.uint8)


class Images(Protocol):
    """Where pixels come from: a data set, or what a script holds."""

    def image(self, image_id: str) -> Tensor:
        """RGB image, uint8 ``(3, H, W)``. Raises DataNotFoundError or DataError."""
        ...


@dataclass(eq=False)
class ImageTable:
    """Images without labels: all that a step t >= 1 gets to see of its pixels.

    Args:
        canvas: side of the square canvas; images are placed at its top left, the rest is black.
        room: decoded images are kept at canvas size as far as there is room for them; other tables may share it.
        buffer: see `wilss.data.order.Reading`.
    """

    source: Images
    ids: tuple[str, ...]
    canvas: int
    room: Room = field(default_factory=Room)
    buffer: int = 0
    _cache: dict[str, Tensor] = field(default_factory=dict, repr=False)
    _originals: dict[str, tuple[int, int]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def image(self, position: int) -> Tensor:
        """One image at canvas scale, uint8 ``(3, h, w)``."""
        image_id = self.ids[position]
        if (known := self._cache.get(image_id)) is not None:
            return known
        decoded = self.source.image(image_id)
        self._originals[image_id] = (decoded.shape[1], decoded.shape[2])
        image = to_canvas(decoded, self.canvas)
        if self.room.take(self, image.numel()):
            self._cache[image_id] = image
        return image

    def reading(self) -> Reading:
        """How a training reads these images."""
        source = self.source
        if not isinstance(source, Distant):
            return Reading(buffer=self.buffer)
        shards = source.shards(self.ids) if self.buffer else ()
        return Reading(shards, self.buffer, self.bring if source.far else None)

    def bring(self, positions: Sequence[int]) -> None:
        """Have images at hand that are read next and not kept, where they lie far away; threads may do so."""
        if isinstance(self.source, Distant):
            self.source.bring(self.left(positions, self._cache))

    def left(self, positions: Sequence[int], kept: Container[str]) -> list[str]:
        """Ids of those that are not kept."""
        return [self.ids[position] for position in positions if self.ids[position] not in kept]

    def soon(self, positions: Iterable[int]) -> Iterator[int]:
        """The same positions, whose images are brought some at a time before they are read."""
        waiting = iter(positions)
        while some := list(islice(waiting, AT_ONCE)):
            self.bring(some)
            yield from some

    def forget(self) -> None:
        """Let what was decoded go, where other images come next."""
        self._cache.clear()
        self.room.free(self)

    def original(self, position: int) -> Tensor:
        """One image in its own size, uint8 ``(3, H, W)``; decoded anew."""
        return self.source.image(self.ids[position])

    def original_size(self, position: int) -> tuple[int, int]:
        """Height and width of the image file, before it was fitted to the canvas."""
        self.image(position)
        return self._originals[self.ids[position]]

    def batch(self, positions: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Stacked images uint8 ``(N, 3, canvas, canvas)`` and their true sizes int64 ``(N, 2)`` as (height, width)."""
        stacked = torch.zeros(len(positions), 3, self.canvas, self.canvas, dtype=torch.uint8)
        sizes = torch.zeros(len(positions), 2, dtype=torch.int64)
        for row, position in enumerate(positions):
            image = self.image(position)
            height, width = image.shape[-2:]
            stacked[row, :, :height, :width] = image
            sizes[row] = torch.tensor([height, width])
        return stacked, sizes


def same_size_batches(images: ImageTable, positions: Iterable[int], batch_size: int) -> list[list[int]]:
    """Group positions by image size, so that nothing needs padding; at most ``batch_size`` in each group."""
    return by_shape(((at, tuple(images.image(at).shape)) for at in images.soon(positions)), batch_size)


def by_shape(shapes: Iterable[tuple[int, tuple[int, ...]]], batch_size: int) -> list[list[int]]:
    """The same where (position, shape) are known."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for position, shape in shapes:
        groups.setdefault(shape, []).append(position)
    return [group[k : k + batch_size] for group in groups.values() for k in range(0, len(group), batch_size)]


@dataclass
class MaskedImages:
    """Images with pixel masks remapped to output channels: step 0, and evaluation.

    Args:
        channels: lookup of 256 output channels (see `wilss.protocol.output_channels`). source: of the masks.
    """

    images: ImageTable
    channels: tuple[int, ...]
    source: Source
    _cache: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.images)

    def reading(self) -> Reading:
        """How a training reads these images and their masks."""
        reading = self.images.reading()
        return replace(reading, bring=self.bring) if reading.bring else reading

    def bring(self, positions: Sequence[int]) -> None:
        """Have images and masks at hand; see `ImageTable.bring`."""
        self.images.bring(positions)
        if isinstance(self.source, Distant):
            self.source.bring((), self.images.left(positions, self._cache))

    def mask(self, position: int) -> Tensor:
        """One mask at canvas scale, uint8 ``(h, w)`` of output channels."""
        image_id = self.images.ids[position]
        if image_id not in self._cache:
            mask = to_canvas(self.full_mask(position)[None], self.images.canvas, nearest=True)[0]
            if not self.images.room.take(self.images, mask.numel()):
                return mask
            self._cache[image_id] = mask
        return self._cache[image_id]

    def full_mask(self, position: int) -> Tensor:
        """One mask in its own size, uint8 ``(H, W)`` of output channels; decoded anew."""
        table = torch.tensor(self.channels, dtype=torch.uint8)
        return table[self.source.mask(self.images.ids[position]).long()]

    def masks(self, positions: Sequence[int]) -> Tensor:
        """Stacked masks uint8 ``(N, canvas, canvas)``; 255 outside the image."""
        side = self.images.canvas
        stacked = torch.full((len(positions), side, side), VOID, dtype=torch.uint8)
        for row, position in enumerate(positions):
            mask = self.mask(position)
            stacked[row, : mask.shape[0], : mask.shape[1]] = mask
        return stacked


@dataclass
class TaggedImages:
    """Images with image-level labels of the step's own classes only: step t >= 1. There is no mask to reach.

    tags: bool ``(N, C)``, C the number of classes of the step.
    """

    images: ImageTable
    tags: Tensor

    def __len__(self) -> int:
        return len(self.images)
