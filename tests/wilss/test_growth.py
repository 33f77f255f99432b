"""The memory bank after a step without masks: which instances it gets, and which not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.wilss.test_memory import Boxes
from wilss.data.images import ImageTable, TaggedImages
from wilss.learn import growth
from wilss.learn.growth import Taught, candidates, grow_bank, surest
from wilss.learn.memory import Instance, MemoryBank, Origin, within_budget
from wilss.learn.spec import MemorySpec

SIZE = 40


class Seer(nn.Module):
    """Sees one old class nowhere, class 2 where an image is red, class 3 where it is green; surer the brighter."""

    step_sizes = (1, 2)

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, images: Tensor) -> Tensor:
        new = (images[:, :2] * 12 - 6) * self.scale
        return torch.cat([torch.zeros(len(images), 1, SIZE, SIZE), torch.full_like(new[:, :1], -9), new], 1)


class Shapes(Boxes):
    """Image a: a bright red box. b: a dimmer one. c: two of them. d: one at the border, and a green box."""

    boxes = {  # noqa: RUF012
        "a": [(0, 255, slice(5, 15), slice(5, 20))],
        "b": [(0, 190, slice(10, 22), slice(5, 20))],
        "c": [(0, 255, slice(2, 12), slice(2, 12)), (0, 255, slice(20, 30), slice(20, 30))],
        "d": [(0, 255, slice(0, 12), slice(2, 12)), (1, 140, slice(20, 30), slice(20, 30))],
    }

    def image(self, image_id: str) -> Tensor:
        image = torch.zeros(3, SIZE, SIZE, dtype=torch.uint8)
        for layer, value, rows, columns in self.boxes[image_id]:
            image[layer, rows, columns] = value
        return image


class Halves:
    """Pseudo-masks of the left half of the canvas for the first class."""

    def layers(self, positions: Sequence[int]) -> Tensor:
        layers = torch.zeros(len(positions), 2, SIZE, SIZE, dtype=torch.uint8)
        layers[:, 0, 3:37, 3:17] = 1
        return layers


def taught() -> Taught:
    source = Shapes()
    tags = torch.tensor([[1, 0], [1, 0], [1, 0], [1, 1]], dtype=torch.bool)
    images = TaggedImages(ImageTable(source, source.ids("train"), SIZE), tags)  # type: ignore[arg-type]
    return Taught(images, Halves(), Seer(), 3, ("1abe15", "57d"))  # type: ignore[arg-type]


def spec(**values: Any) -> MemorySpec:
    return MemorySpec(**{"side": 16, "min_pixels": 20, "grows": True, "cut_by": "student", **values})


def old_bank(n: int = 3) -> MemoryBank:
    images, masks = torch.zeros(n, 3, 16, 16, dtype=torch.uint8), torch.ones(n, 16, 16, dtype=torch.bool)
    return MemoryBank(images, masks, torch.full((n, 2), 16), torch.ones(n, dtype=torch.int64), ("old",) * n)


def test_instances_are_whole_and_alone_in_their_image_and_the_surest_come_first() -> None:
    bank, lacking = grow_bank(old_bank(), taught(), spec())
    assert bank.ids == ("old", "old", "old", "a", "b")
    assert bank.channels.tolist() == [1, 1, 1, 2, 2]
    assert bank.sizes[3:].tolist() == [[10, 15], [12, 15]]
    assert (bank.images[3, 0][bank.masks[3]] == 255).all()
    first, second = bank.origins[3:]
    assert (first.made, first.step, first.parent) == ("student", 3, "57d")
    assert first.score > second.score > 0.7
    assert bank.origins[:3] == (Origin(),) * 3
    assert list(lacking) == [3]
    assert 0.5 < lacking[3] < 0.7, "the green one is seen, and not sure enough"
    assert grow_bank(old_bank(), taught(), spec(per_class=1))[0].ids[3:] == ("a",)


def test_tags_that_an_image_does_not_have_are_not_cut_out() -> None:
    found = taught()
    found.images.tags[0] = False
    assert {instance.image_id for instance in candidates(found, spec())} == {"b", "d"}


def test_the_score_is_the_mean_probability_over_the_instance() -> None:
    instance = next(iter(candidates(taught(), spec(cut_by="labels"))))
    image, probability = Shapes().image("a")[0], []
    for row in range(3, 37):
        for column in range(3, 17):
            probability.append(1 / (1 + 2.718281828 ** -(float(image[row, column]) / 255 * 12 - 6)))
    assert abs(instance.origin.score - sum(probability) / len(probability)) < 1e-5
    assert (instance.origin.made, instance.origin.parent) == ("labels", "1abe15")
    assert int(instance.mask.sum()) == 34 * 14


def test_where_both_agree_the_instance_is_their_intersection() -> None:
    first = next(iter(candidates(taught(), spec(cut_by="both"))))
    assert first.mask.shape == (10, 12)  # columns 5 to 16


def test_a_bank_to_which_nothing_can_be_added_stays_as_it_is() -> None:
    bank, lacking = grow_bank(old_bank(), taught(), spec(min_quality=1.0))
    assert bank.ids == ("old",) * 3
    assert bank.origins == ()
    assert set(lacking) == {2, 3}


def test_one_budget_for_all_classes_in_rounds() -> None:
    bank, _ = grow_bank(old_bank(5), taught(), spec(min_quality=0.0, budget=5))
    assert bank.channels.tolist() == [1, 1, 2, 2, 3]
    assert bank.ids[2:] == ("a", "b", "d")
    assert within_budget(old_bank(5), 0).ids == within_budget(old_bank(5), 5).ids == ("old",) * 5


def test_instances_do_not_hold_the_images_that_they_were_cut_from() -> None:
    for instance in candidates(taught(), spec()):
        assert instance.image.untyped_storage().nbytes() == instance.image.numel() < 3 * SIZE * SIZE


def test_what_is_collected_is_bounded_and_the_surest_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, most = torch.rand(40, generator=torch.Generator().manual_seed(0)).tolist(), 0

    def many(*_: object) -> Iterator[Instance]:
        image, mask = torch.zeros(3, 4, 4, dtype=torch.uint8), torch.ones(4, 4, dtype=torch.bool)
        for number, score in enumerate(scores):
            yield Instance(image, mask, mask, 2, str(number), False, Origin("student", score))

    def counted(instances: list[Instance], n: int) -> list[Instance]:
        nonlocal most
        most = max(most, len(instances))
        return surest(instances, n)

    monkeypatch.setattr(growth, "candidates", many)
    monkeypatch.setattr(growth, "surest", counted)
    bank, _ = grow_bank(old_bank(), taught(), spec(per_class=3, min_quality=0.0))
    best = sorted(range(40), key=lambda number: -scores[number])[:3]
    assert bank.ids[3:] == tuple(map(str, best))
    assert most == 6


def test_instances_of_later_classes_bring_their_surroundings_too() -> None:
    alone, _ = grow_bank(old_bank(), taught(), spec(min_quality=0.0))
    bank, _ = grow_bank(old_bank(), taught(), spec(min_quality=0.0, margin=0.3))
    assert alone.shown is None
    assert bank.shown is not None
    assert bank.channels.tolist() == alone.channels.tolist()
    for row, channel in enumerate(bank.channels.tolist()):
        more = int(bank.shown[row].sum()) - int(bank.masks[row].sum())
        assert more > 0 if channel > 1 else more == 0, "the old bank's instances stay as they are"
