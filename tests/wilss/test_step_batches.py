"""What a batch of a step shows: image, pseudo-masks, tags and pasted instances of the same places."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wilss.data.images import ImageTable, TaggedImages
from wilss.data.source import Split
from wilss.data.spec import AugmentSpec
from wilss.learn.incremental import StepBatches, StepData
from wilss.learn.memory import MemoryBank
from wilss.learn.spec import PasteSpec

SIDE, N, CLASSES = 40, 12, 3


def square(position: int) -> tuple[slice, slice]:
    """Where the object of an image lies."""
    top, left = 2 + 3 * (position % 4), 4 + 5 * (position % 3)
    return slice(top, top + 18), slice(left, left + 16)


class Squares:
    """Red objects on black; the amount of blue says which image it is. Masks are those very objects."""

    fingerprint = "squares"

    def ids(self, split: Split) -> tuple[str, ...]:
        return tuple(str(position) for position in range(N))

    def image(self, image_id: str) -> Tensor:
        image = torch.zeros(3, SIDE, SIDE - 4, dtype=torch.uint8)
        image[0][square(int(image_id))] = 255
        image[2] = 10 * int(image_id)
        return image

    def layers(self, positions: Sequence[int]) -> Tensor:
        layers = torch.zeros(len(positions), CLASSES, SIDE, SIDE, dtype=torch.uint8)
        for row, position in enumerate(positions):
            layers[row, position % CLASSES][square(position)] = 1
        return layers


def green_bank() -> MemoryBank:
    images, whole = torch.zeros(1, 3, 12, 12, dtype=torch.uint8), torch.ones(1, 12, 12, dtype=torch.bool)
    images[:, 1] = 255
    return MemoryBank(images, whole, torch.tensor([[12, 12]]), torch.tensor([4]), ("x",))


def batches(bank: MemoryBank | None) -> StepBatches:
    source = Squares()
    tags = torch.eye(CLASSES, dtype=torch.bool)[torch.arange(N) % CLASSES]
    images = TaggedImages(ImageTable(source, source.ids("train"), SIDE), tags)  # type: ignore[arg-type]
    paste = PasteSpec(probability=1.0, count=2) if bank else None
    generator = torch.Generator().manual_seed(5)
    return StepBatches(StepData(images, source, bank), paste, AugmentSpec(crop=64), generator, torch.device("cpu"))


def test_masks_lie_on_the_objects_of_their_own_images() -> None:
    order = [7, 2, 11, 0, 5, 8]
    drawn = batches(None).draw(order)
    assert drawn.masks is not None
    assert (drawn.images[:, 2].amax((1, 2)) * 255 / 10).round().tolist() == order
    assert drawn.tags.int().argmax(1).tolist() == [position % CLASSES for position in order]
    assert torch.equal(drawn.masks.amax((2, 3)).bool(), drawn.tags)
    objects, masks = drawn.images[:, 0] > 0.5, drawn.masks.amax(1).bool()
    assert int((objects != masks).sum()) <= 0.02 * objects.sum()  # the former's edges are interpolated
    assert not torch.equal(drawn.masks, batches(None).draw(order[::-1]).masks.flip(0))  # every draw has its own view


def test_pasted_instances_cover_images_and_masks_alike() -> None:
    drawn = batches(green_bank()).draw(list(range(N)))
    assert drawn.masks is not None
    pasted = drawn.pasted > 0
    assert set(drawn.pasted.unique().tolist()) == {0, 4}
    assert (pasted.flatten(1).sum(1) > 0).all()
    assert drawn.images[:, 1][pasted].min() > 0.49  # an edge is half of what lies outside, black
    assert (drawn.images[:, 1][~pasted] == 0).all()
    assert not drawn.masks.amax(1).bool()[pasted].any()
    seen = (drawn.images[:, 0] > 0.5) & ~pasted
    assert int((seen != drawn.masks.amax(1).bool()).sum()) <= 0.02 * seen.sum()
