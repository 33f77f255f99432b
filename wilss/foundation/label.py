"""From images and tags to pseudo-labels, one batch of equal sizes after another, on the canvas that training uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.data.images import ImageTable, TaggedImages, same_size_batches
from wilss.foundation.contracts import Grouper, Prompts, Scorer
from wilss.foundation.cosegment import PseudoLabels, cosegment
from wilss.foundation.seeds import seed_noise
from wilss.foundation.spec import CosegmentSpec
from wilss.report.pictures import flatten_layers

BATCH = 16
"""Images that are looked at together."""
Progress = Callable[[int, int], None]
"""Takes the number of images that are done, and of all."""


def grid_of(canvas: int) -> tuple[int, int]:
    """Rows and columns of the soft maps that are kept of a canvas."""
    side = max(8, canvas // 8)
    return side, side


@dataclass(frozen=True)
class Labels:
    """Pseudo-labels of images: what `wilss.label` gives.

    classes: names, one a channel. ids: of the images, in order. tags: bool ``(N, C)``.
    masks: uint8 ``(N, C, canvas, canvas)``, 1 inside the refined mask; an image lies at the top left.
    scores: float32 ``(N, C, h, w)`` in [0, 1], the scorer's map over the image, zero for absent classes.
    agreement: float32 ``(N, C)`` in [0, 1], IoU of the scorer's and the grouper's mask: low where a mask is doubtful;
        NaN for absent classes.
    sizes, originals: int64 ``(N, 2)``, (height, width) on the canvas and of the image.
    notes: what was chosen on the way, in words: the scorer, background words that were left out.
    """

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    tags: Tensor
    masks: Tensor
    scores: Tensor
    agreement: Tensor
    sizes: Tensor
    originals: Tensor
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def layers(self, positions: Sequence[int]) -> Tensor:
        """See `wilss.learn.incremental.MaskLayers.layers`."""
        return self.masks[list(positions)]

    def mask(self, row: int) -> Tensor:
        """The masks of one image at its own size, uint8 ``(C, H, W)``."""
        height, width = self.sizes[row].tolist()
        inside = self.masks[row, :, :height, :width]
        size = tuple(self.originals[row].tolist())
        return F.interpolate(inside[None].float(), size, mode="nearest-exact")[0].to(torch.uint8)

    def label_map(self, row: int) -> Tensor:
        """The same in one map, uint8 ``(H, W)``: 0 background, k the k-th class; the smaller of two lies on top."""
        return flatten_layers(self.mask(row), range(1, 1 + len(self.classes)))


@dataclass(frozen=True)
class Labelling:
    """How images are labelled.

    new: words of each class of the step. old: words of classes that compete without a map. canvas: side of the square
    that masks lie on. grid: rows and columns of the soft maps.
    """

    scorer: Scorer
    grouper: Grouper
    cosegment: CosegmentSpec
    new: Prompts
    old: Prompts
    canvas: int
    grid: tuple[int, int]
    seed: int
    device: torch.device

    def look(self, data: TaggedImages, batch: Sequence[int], images: Tensor) -> PseudoLabels:
        """Pseudo-labels of images of one size, on the labelling device; masks have that size, soft maps the grid's.

        Args:
            batch: positions of the images in ``data``. images: float32 ``(N, 3, h, w)`` in [0, 1].
        """
        noise = seed_noise([data.images.ids[p] for p in batch], len(self.new), self.cosegment.n_seeds, self.seed)
        tags, models = data.tags[list(batch)], (self.scorer, self.grouper)
        found = cosegment(images.to(self.device), tags, self.new, self.old, *models, self.cosegment, noise)
        return replace(found, soft=F.interpolate(found.soft, self.grid, mode="bilinear", align_corners=False))

    def rows(self, data: TaggedImages, rows: Sequence[int], progress: Progress | None = None) -> PseudoLabels:
        """Pseudo-labels of these rows of ``data``, in their order, on the CPU; masks are padded to the canvas."""

        def padded_look(batch: list[int], images: Tensor) -> tuple[Tensor, ...]:
            found = self.look(data, batch, images)
            initial, refined = (padded(masks, self.canvas) for masks in (found.initial, found.refined))
            return initial, refined, found.soft, found.agreement, found.wins, found.apart

        return PseudoLabels(*in_batches(data.images, rows, padded_look, progress))

    def labels(self, data: TaggedImages, classes: Sequence[str]) -> Labels:
        """Pseudo-labels of all images."""
        rows = range(len(data))
        found, sizes = self.rows(data, rows), sizes_of(data.images, rows)
        masks = found.refined.to(torch.uint8)
        return Labels(tuple(classes), data.images.ids, data.tags, masks, found.soft, found.agreement, *sizes)


def batches_of(
    table: ImageTable, rows: Sequence[int], progress: Progress | None = None
) -> Iterator[tuple[list[int], Tensor]]:
    """These rows of a table in batches of one size: their positions, and float32 ``(N, 3, h, w)`` in [0, 1]."""
    done = 0
    for batch in same_size_batches(table, rows, BATCH):
        yield batch, torch.stack([table.image(position) for position in batch]).float() / 255
        done += len(batch)
        if progress:
            progress(done, len(rows))


def in_batches(
    table: ImageTable,
    rows: Sequence[int],
    look: Callable[[list[int], Tensor], tuple[Tensor, ...]],
    progress: Progress | None = None,
) -> tuple[Tensor, ...]:
    """What ``look`` makes of these rows of a table, in their order.

    Args:
        look: positions of images of one size, and the images, float32 ``(N, 3, h, w)`` in [0, 1] -> tensors of N rows.
    """
    parts: list[tuple[Tensor, ...]] = []
    order: list[int] = []
    for batch, images in batches_of(table, rows, progress):
        parts.append(tuple(values.cpu() for values in look(batch, images)))
        order += batch
    places = {position: place for place, position in enumerate(order)}
    back = torch.tensor([places[row] for row in rows])
    return tuple(torch.cat(values)[back] for values in zip(*parts, strict=True))


def padded(masks: Tensor, canvas: int) -> Tensor:
    """``(..., h, w)`` -> ``(..., canvas, canvas)``, zero beyond the image, which lies at the top left."""
    height, width = masks.shape[-2:]
    return F.pad(masks, (0, canvas - width, 0, canvas - height))


def sizes_of(table: ImageTable, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Sizes on the canvas and of the files, int64 ``(N, 2)`` each, as (height, width)."""
    canvas = torch.tensor([table.image(row).shape[-2:] for row in rows])
    originals = torch.tensor([table.original_size(row) for row in rows])
    return canvas, originals
