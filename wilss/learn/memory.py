"""Memory bank: foreground instances of old classes, cropped with the masks of the base step (FMWISS sec. 3.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from wilss.data.images import MaskedImages
from wilss.data.source import VOID
from wilss.errors import DataError
from wilss.learn.spec import MemorySpec


@dataclass(frozen=True)
class MemoryBank:
    """M instances at the top left of square canvases.

    images: uint8 ``(M, 3, side, side)``. masks: bool ``(M, side, side)``, the instance's own pixels.
    sizes: int64 ``(M, 2)`` true (height, width). channels: int64 ``(M,)`` output channel of the class.
    ids: the image each instance was cut from.
    """

    images: Tensor
    masks: Tensor
    sizes: Tensor
    channels: Tensor
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

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
    whole: dict[int, list[_Instance]] = {c: [] for c in range(1, n_classes + 1)}
    cut: dict[int, list[_Instance]] = {c: [] for c in whole}
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
    return _stack(kept, spec.side)


@dataclass(frozen=True)
class _Instance:
    image: Tensor
    mask: Tensor
    channel: int
    image_id: str
    touches_border: bool


def _instances(data: MaskedImages, position: int, spec: MemorySpec) -> Iterator[_Instance]:
    """Connected components of every class in one image (8-neighbourhood)."""
    mask = data.mask(position).numpy()
    image = data.images.image(position)
    for channel in np.unique(mask):
        if channel in (0, VOID):
            continue
        components, _ = ndimage.label(mask == channel, structure=np.ones((3, 3)))
        for index, box in enumerate(ndimage.find_objects(components), start=1):
            own = torch.from_numpy(components[box] == index)
            if int(own.sum()) < spec.min_pixels:
                continue
            edge = any(s.start == 0 or s.stop == n for s, n in zip(box, mask.shape, strict=True))
            yield _Instance(image[:, box[0], box[1]], own, int(channel), data.images.ids[position], edge)


def _stack(instances: list[_Instance], side: int) -> MemoryBank:
    images = torch.zeros(len(instances), 3, side, side, dtype=torch.uint8)
    masks = torch.zeros(len(instances), side, side, dtype=torch.bool)
    sizes = torch.zeros(len(instances), 2, dtype=torch.int64)
    for row, instance in enumerate(instances):
        image, mask = _shrink(instance.image, instance.mask, side)
        height, width = mask.shape
        images[row, :, :height, :width], masks[row, :height, :width] = image, mask
        sizes[row] = torch.tensor([height, width])
    channels = torch.tensor([i.channel for i in instances])
    return MemoryBank(images, masks, sizes, channels, tuple(i.image_id for i in instances))


def _shrink(image: Tensor, mask: Tensor, side: int) -> tuple[Tensor, Tensor]:
    longest = max(mask.shape)
    if longest <= side:
        return image, mask
    size = tuple(max(1, round(n * side / longest)) for n in mask.shape)
    small = F.interpolate(image[None].float(), size, mode="bilinear", antialias=True)[0].round().clamp(0, 255)
    share = F.interpolate(mask[None, None].float(), size, mode="bilinear", antialias=True)[0, 0]
    return small.to(torch.uint8), share > 0.5
