"""What a batch of a step shows: image, pseudo-masks, tags and pasted instances of the same places."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wilss.data.images import ImageTable, TaggedImages
from wilss.data.room import Room
from wilss.data.source import Split
from wilss.data.spec import AugmentSpec
from wilss.learn.incremental import StepBatches, StepData
from wilss.learn.memory import MemoryBank
from wilss.learn.methods.contract import StepBatch
from wilss.learn.seen import Seen
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


class SeesRed(nn.Module):
    """An old model whose class 2 is all that is red, on a grid of half the side; it counts its looks."""

    def __init__(self) -> None:
        super().__init__()
        self.bias, self.looks = nn.Parameter(torch.tensor(0.5)), 0

    def forward(self, images: Tensor) -> Tensor:
        self.looks += len(images)
        red = F.avg_pool2d(images[:, :1], 2) - self.bias
        return torch.cat([-red, torch.full_like(red, -9), red], 1)


def batches(
    bank: MemoryBank | None, old: SeesRed | None = None, room: Room | None = None, labels: bool = True
) -> StepBatches:
    source = Squares()
    tags = torch.eye(CLASSES, dtype=torch.bool)[torch.arange(N) % CLASSES]
    table = ImageTable(source, source.ids("train"), SIDE, room or Room())
    paste = PasteSpec(probability=1.0, count=2, on_background=old is not None) if bank else None
    seen = Seen(old, table, "fp32") if old else None  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(5)
    data = StepData(TaggedImages(table, tags), source if labels else None, bank)
    return StepBatches(data, paste, AugmentSpec(crop=64), generator, torch.device("cpu"), seen)


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


def test_what_the_old_model_sees_lies_on_the_objects() -> None:
    of = batches(green_bank(), SeesRed()).seen
    assert of is not None
    seen = of.canvases([7, 0])
    for row, position in enumerate((7, 0)):
        truth = torch.zeros(SIDE, SIDE, dtype=torch.bool)
        truth[square(position)] = True
        assert set(seen[row].unique().tolist()) == {0, 2}
        lost = truth & (seen[row, 0] != 2)
        assert not (seen[row, 0][~truth] == 2).any()
        assert int(lost.sum()) <= (0 if position == 0 else 2 * 18 + 2 * 16)  # half red cells at odd sides are none


def test_instances_keep_off_what_the_old_model_sees_in_every_view() -> None:
    order = list(range(N)) * 4

    def hidden(drawn: StepBatch) -> float:
        shown = drawn.images[:, 0] > 0.5  # what is left of the objects
        return 1 - float(shown.sum()) / float(whole.sum())

    whole = batches(None).draw(order).images[:, 0] > 0.5
    assert hidden(batches(green_bank(), labels=False).draw(order)) > 0.06
    assert hidden(batches(green_bank(), SeesRed(), labels=False).draw(order)) < 0.01


def test_every_image_is_looked_at_once_or_each_time_where_there_is_no_room() -> None:
    old, other = SeesRed(), SeesRed()
    once, always = batches(green_bank(), old), batches(green_bank(), other, Room(0))
    first = [drawn.draw([0, 1, 2]).images for drawn in (once, always)]
    assert torch.equal(*first)
    assert old.looks == other.looks == 3
    second = [drawn.draw([2, 1, 4]).images for drawn in (once, always)]
    assert torch.equal(*second)
    assert (old.looks, other.looks) == (4, 6)
