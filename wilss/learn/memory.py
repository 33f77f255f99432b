"""Memory bank: foreground instances of old classes, cropped with the masks of the base step (FMWISS sec. 3.5).

`wilss.learn.growth` adds those of the classes of later steps, which have no masks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from wilss.data.images import MaskedImages
from wilss.data.source import VOID
from wilss.errors import DataError
from wilss.learn.spec import MemorySpec

Made = Literal["masks", "labels", "student"]
"""What an instance was cut out by: true masks, a label set, or what a student sees."""


@dataclass(frozen=True)
class Origin:
    """Where an instance comes from.

    made: what cut it out. score: how sure that was, in [0, 1]; 1 for true masks. step: that brought it.
    parent: digest of the label set or student behind ``made``; "" for true masks.
    """

    made: Made = "masks"
    score: float = 1.0
    step: int = 0
    parent: str = ""


@dataclass(frozen=True)
class MemoryBank:
    """M instances at the top left of square canvases.

    images: uint8 ``(M, 3, side, side)``. masks: bool ``(M, side, side)``, the instance's own pixels.
    sizes: int64 ``(M, 2)`` (height, width). channels: int64 ``(M,)`` output channel of the class.
    ids: the image each instance was cut from. origins: of each; empty where all come from masks of the base step.
    shown: bool ``(M, side, side)``, its own pixels and the surroundings that come along, which are part of its size
    then; None where nothing does.
    """

    images: Tensor
    masks: Tensor
    sizes: Tensor
    channels: Tensor
    ids: tuple[str, ...]
    origins: tuple[Origin, ...] = ()
    shown: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def origin(self, row: int) -> Origin:
        """Where one instance comes from."""
        return self.origins[row] if self.origins else Origin()

    def chosen(self, rows: Sequence[int]) -> MemoryBank:
        """The bank of these instances, in this order."""
        kept, ids = list(rows), tuple(self.ids[row] for row in rows)
        origins = tuple(self.origin(row) for row in rows) if self.origins else ()
        tensors = (self.images[kept], self.masks[kept], self.sizes[kept], self.channels[kept])
        return MemoryBank(*tensors, ids, origins, None if self.shown is None else self.shown[kept])

    def joined(self, more: MemoryBank) -> MemoryBank:
        """This bank and another one of the same side."""
        images, masks = torch.cat([self.images, more.images]), torch.cat([self.masks, more.masks])
        sizes, channels = torch.cat([self.sizes, more.sizes]), torch.cat([self.channels, more.channels])
        origins = tuple(one.origin(row) for one in (self, more) for row in range(len(one)))
        shown = None if self.shown is None and more.shown is None else torch.cat([self.pasted(), more.pasted()])
        return MemoryBank(images, masks, sizes, channels, self.ids + more.ids, origins, shown)

    def pasted(self) -> Tensor:
        """Pixels that are written over an image, bool ``(M, side, side)``."""
        return self.masks if self.shown is None else self.shown

    def counts(self) -> dict[int, int]:
        """Number of instances of each output channel that has any."""
        values, numbers = self.channels.unique(return_counts=True)
        return dict(zip(values.tolist(), numbers.tolist(), strict=True))


def build_bank(data: MaskedImages, spec: MemorySpec, seed: int) -> MemoryBank:
    """Collect up to ``per_class`` instances of every class of ``data``, from images in random order.

    A class with fewer instances keeps what there is. Raises DataError when no image holds any instance.
    """
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed)).tolist()
    n_classes = max(data.channels[:VOID])
    whole: dict[int, list[Instance]] = {c: [] for c in range(1, n_classes + 1)}
    cut: dict[int, list[Instance]] = {c: [] for c in whole}
    for position in order:
        if all(len(found) >= spec.per_class for found in whole.values()):
            break
        for instance in _instances(data, position, spec):
            into = cut if instance.touches_border and spec.whole else whole
            if len(into[instance.channel]) < spec.per_class:
                into[instance.channel].append(instance)
    kept = [i for c in whole for i in [*whole[c], *cut[c]][: spec.per_class]]
    if not kept:
        raise DataError(f"none of the {len(data)} base images holds an instance of {spec.min_pixels} pixels or more")
    return within_budget(stack_instances(kept, spec.side), spec.budget)


def within_budget(bank: MemoryBank, budget: int) -> MemoryBank:
    """At most ``budget`` instances, taken class by class in rounds, in each class the first ones first; 0 takes all."""
    if not 0 < budget < len(bank):
        return bank
    ranks, seen = [], dict.fromkeys(bank.counts(), 0)
    for channel in bank.channels.tolist():
        ranks.append(seen[channel])
        seen[channel] += 1
    by_rounds = sorted(range(len(bank)), key=lambda row: (ranks[row], int(bank.channels[row]), row))
    return bank.chosen(sorted(by_rounds[:budget]))


@dataclass(frozen=True)
class Instance:
    """One instance before it is fitted to the bank.

    image, mask, shown: what was cut out (`cut_out`).
    """

    image: Tensor
    mask: Tensor
    shown: Tensor
    channel: int
    image_id: str
    touches_border: bool
    origin: Origin = Origin()


def _instances(data: MaskedImages, position: int, spec: MemorySpec) -> Iterator[Instance]:
    """Connected components of every class in one image."""
    mask = data.mask(position).numpy()
    image = data.images.image(position)
    for channel in np.unique(mask):
        if channel in (0, VOID):
            continue
        for box, own, edge in components(mask == channel, spec.min_pixels):
            yield Instance(*cut_out(image, box, own, spec.margin), int(channel), data.images.ids[position], edge)


def components(mask_HW: NDArray[np.bool_], min_pixels: int) -> Iterator[tuple[tuple[slice, slice], Tensor, bool]]:
    """Connected components (8-neighbourhood) of ``min_pixels`` or more.

    Yields its box, its mask bool ``(h, w)`` within, and whether it touches the image's border.
    """
    labels, _ = ndimage.label(mask_HW, structure=np.ones((3, 3)))
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        own = torch.from_numpy(labels[box] == index)
        if int(own.sum()) >= min_pixels:
            yield box, own, any(s.start == 0 or s.stop == n for s, n in zip(box, mask_HW.shape, strict=True))


def cut_out(
    image_CHW: Tensor, box: tuple[slice, slice], own_hw: Tensor, margin: float
) -> tuple[Tensor, Tensor, Tensor]:
    """An instance and its surroundings up to ``margin`` times the longer side of its box away.

    Returns:
        pixels uint8 ``(3, h, w)`` of the box that holds both, the instance's own bool ``(h, w)``, and both.
    """
    reach = margin * max(own_hw.shape)
    grown = tuple(
        slice(max(0, part.start - int(reach)), min(whole, part.stop + int(reach)))
        for part, whole in zip(box, image_CHW.shape[1:], strict=True)
    )
    own = torch.zeros([part.stop - part.start for part in grown], dtype=torch.bool)
    inner = [slice(part.start - more.start, part.stop - more.start) for part, more in zip(box, grown, strict=True)]
    own[inner[0], inner[1]] = own_hw
    near = torch.from_numpy(ndimage.distance_transform_edt(~own.numpy()) <= reach)
    return image_CHW[:, grown[0], grown[1]].clone(), own, near  # a view would keep the whole image


def stack_instances(instances: Sequence[Instance], side: int) -> MemoryBank:
    """A bank of instances; those larger than ``side`` are shrunk."""
    images = torch.zeros(len(instances), 3, side, side, dtype=torch.uint8)
    masks, shown = (torch.zeros(len(instances), side, side, dtype=torch.bool) for _ in range(2))
    sizes = torch.zeros(len(instances), 2, dtype=torch.int64)
    for row, instance in enumerate(instances):
        image, both = _shrink(instance.image, torch.stack([instance.mask, instance.shown]), side)
        height, width = both.shape[1:]
        images[row, :, :height, :width] = image
        masks[row, :height, :width], shown[row, :height, :width] = both
        sizes[row] = torch.tensor([height, width])
    channels = torch.tensor([i.channel for i in instances], dtype=torch.int64)
    origins = tuple(i.origin for i in instances)
    of_masks = all(origin == Origin() for origin in origins)
    ids, alone = tuple(i.image_id for i in instances), torch.equal(masks, shown)
    return MemoryBank(images, masks, sizes, channels, ids, () if of_masks else origins, None if alone else shown)


def _shrink(image: Tensor, masks: Tensor, side: int) -> tuple[Tensor, Tensor]:
    longest = max(masks.shape[1:])
    if longest <= side:
        return image, masks
    size = tuple(max(1, round(n * side / longest)) for n in masks.shape[1:])
    small = F.interpolate(image[None].float(), size, mode="bilinear", antialias=True)[0].round().clamp(0, 255)
    share = F.interpolate(masks[None].float(), size, mode="bilinear", antialias=True)[0]
    return small.to(torch.uint8), share > 0.5
