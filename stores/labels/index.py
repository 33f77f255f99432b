"""What the rows of a label set stand for: images, classes and tags, and how the rows are cut into shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
SHARD_BYTES = 32 << 20
"""Of one stage, one bit a pixel."""
SHARD_IMAGES = 128
STAGES = ("initial", "refined", "final")


@dataclass(frozen=True)
class LabelIndex:
    """Images of a label set in order, and their rows: one row for each tagged class of an image, grouped by image.

    classes: names, one a channel. tags: bool ``(N, C)``; takes nested sequences too. grid: of the soft maps.
    shard_images: images of a shard; 0 chooses it so that a shard has at most `SHARD_BYTES` and `SHARD_IMAGES`.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    tags: Bools
    canvas: int
    grid: tuple[int, int]
    stages: tuple[str, ...]
    shard_images: int = 0

    def __post_init__(self) -> None:
        tags = np.asarray(self.tags, dtype=bool).reshape(-1, len(self.classes))
        if len(tags) != len(self.ids):
            raise ValueError(f"tags are not those of {len(self.ids)} images and {len(self.classes)} classes")
        object.__setattr__(self, "tags", tags)
        object.__setattr__(self, "shard_images", self.shard_images or self._shard_images())

    def _shard_images(self) -> int:
        per_image = max(1.0, self.n_rows / max(1, len(self.ids)))
        return max(1, min(SHARD_IMAGES, int(SHARD_BYTES / (per_image * self.canvas * self.width))))

    @property
    def width(self) -> int:
        """Bytes of a line of a packed mask."""
        return -(-self.canvas // 8)

    @cached_property
    def n_rows(self) -> int:
        """Tagged (image, class) pairs."""
        return int(self.tags.sum())

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """First row of each image, and the number of rows at the end: int64 ``(N + 1,)``."""
        return np.concatenate([[0], self.tags.sum(1).cumsum()]).astype(np.int64)

    @cached_property
    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Image position and channel of every row."""
        images, channels = self.tags.nonzero()
        return images, channels

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """One number for image and channel of every row, ascending."""
        images, channels = self.pairs
        return images * len(self.classes) + channels

    def rows_of(self, images: NDArray[np.int64], channels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of images and channels, pair by pair, int64 ``(P,)``; -1 for a class that the image is not tagged with.

        A position or channel below 0 has no row either.
        """
        wanted = np.where((images < 0) | (channels < 0), -1, images * len(self.classes) + channels)
        found = np.searchsorted(self._places, wanted)
        there = np.append(self._places, -2)[found] == wanted
        return np.where(there, found, -1)

    @property
    def n_shards(self) -> int:
        """Number of shards; the last one may be partly filled."""
        return -(-len(self.ids) // self.shard_images)

    def images(self, shard: int) -> range:
        """Positions of the images of a shard."""
        return range(shard * self.shard_images, min((shard + 1) * self.shard_images, len(self.ids)))

    @cached_property
    def _shard_starts(self) -> NDArray[np.int64]:
        """First row of each shard, and the number of rows at the end."""
        return self.starts[[*range(0, len(self.ids), self.shard_images), len(self.ids)]]

    def rows(self, shard: int) -> range:
        """Rows of a shard."""
        return range(int(self._shard_starts[shard]), int(self._shard_starts[shard + 1]))

    def shards_of(self, start: int, stop: int) -> range:
        """Shards that hold rows ``start`` to ``stop``."""
        first, last = np.searchsorted(self._shard_starts, [start, max(start, stop - 1)], "right") - 1
        return range(int(first), min(int(last) + 1, self.n_shards))

    @property
    def shard_rows(self) -> int:
        """Room for rows in a shard: as many as the fullest one has."""
        return max(1, int(np.diff(self._shard_starts).max(initial=0)))

    def of(self, positions: Sequence[int], stages: tuple[str, ...]) -> LabelIndex:
        """The index of a set with these images in this order."""
        ids = tuple(self.ids[position] for position in positions)
        return replace(self, ids=ids, tags=self.tags[list(positions)], stages=stages, shard_images=0)

    def tagged(self, position: int) -> list[str]:
        """Names of the tags of an image."""
        return [name for name, own in zip(self.classes, self.tags[position], strict=True) if own]
