"""The memory bank's instances and their paste."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import pytest
import torch
from torch import Tensor

from wilss.data.images import ImageTable, MaskedImages
from wilss.errors import DataError
from wilss.learn.copypaste import paste
from wilss.learn.memory import MemoryBank, build_bank, cut_out
from wilss.learn.spec import MemorySpec, PasteSpec
from wilss.protocol import output_channels


@dataclass
class Boxes:
    """Four images: a 10 x 12 box of class 1 inside, and a box of class 2 at the left border."""

    classes = ("one", "two", "three")
    prompts = {}  # noqa: RUF012
    fingerprint = "boxes"

    def ids(self, split: str) -> tuple[str, ...]:
        return ("a", "b", "c", "d")

    def tags(self, split: str) -> tuple[tuple[int, ...], ...]:
        return ((1, 2),) * 4

    def image(self, image_id: str) -> Tensor:
        image = torch.zeros(3, 40, 40, dtype=torch.uint8)
        image[0][self.mask(image_id) == 1] = 200
        image[1][self.mask(image_id) == 2] = 100
        return image

    def mask(self, image_id: str) -> Tensor:
        mask = torch.zeros(40, 40, dtype=torch.uint8)
        mask[5:15, 10:22] = 1
        mask[20:30, 0:8] = 2
        mask[35:37, 35:37] = 1  # too small to be an instance
        return mask


def masked(seen: tuple[int, ...]) -> MaskedImages:
    source = Boxes()
    return MaskedImages(ImageTable(source, source.ids("train"), 40), tuple(output_channels(seen, 3, 0)), source)


def test_bank_keeps_up_to_b_instances_of_each_class_and_accepts_fewer() -> None:
    bank = build_bank(masked((1, 2)), MemorySpec(per_class=3, side=16, min_pixels=20), seed=0)
    assert bank.counts() == {1: 3, 2: 3}
    bank = build_bank(masked((1, 2, 3)), MemorySpec(per_class=50, side=16, min_pixels=20), seed=0)
    assert bank.counts() == {1: 4, 2: 4}  # class 3 never occurs


def test_bank_holds_exactly_the_instance() -> None:
    bank = build_bank(masked((1,)), MemorySpec(per_class=1, side=16, min_pixels=20), seed=0)
    assert bank.sizes.tolist() == [[10, 12]]
    assert int(bank.masks.sum()) == 120
    assert (bank.images[0, 0][bank.masks[0]] == 200).all()


def test_bank_without_instances_is_an_error() -> None:
    with pytest.raises(DataError, match="none of the 4 base images holds an instance of 5000 pixels"):
        build_bank(masked((1,)), MemorySpec(min_pixels=5000), seed=0)


def one_instance() -> MemoryBank:
    masks = torch.zeros(1, 8, 8, dtype=torch.bool)
    masks[0, :6, :4] = True
    images = torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)
    return MemoryBank(images, masks, torch.tensor([[6, 4]]), torch.tensor([2]), ("x",))


def test_paste_erases_pseudo_labels_under_it_and_gives_the_hard_class() -> None:
    images, layers = torch.zeros(16, 3, 32, 32), torch.ones(16, 2, 32, 32, dtype=torch.uint8)
    spec = PasteSpec(probability=1.0, count=1, min_scale=1.0, max_scale=1.0, flip=0.5)
    result = paste(images, layers, one_instance(), spec, torch.Generator().manual_seed(0))
    inside = result.channels == 2
    assert ((result.channels == 0) | inside).all()
    assert (result.layers.bool() == ~inside[:, None]).all()
    assert torch.equal(result.images.amax(1) > 0.45, inside)
    areas = inside.sum((1, 2))
    assert int(areas.max()) in range(20, 31)  # 24 pixels, give or take half-pixel placement
    assert (areas > 0).all()  # the centre always lies inside the image
    assert images.max() == 0  # inputs stay as they were
    assert layers.min() == 1


def test_paste_probability_and_count() -> None:
    images, layers = torch.zeros(400, 3, 24, 24), torch.zeros(400, 1, 24, 24, dtype=torch.uint8)
    spec = PasteSpec(probability=0.5, count=2)
    result = paste(images, layers, one_instance(), spec, torch.Generator().manual_seed(0))
    share = (result.channels > 0).flatten(1).any(1).float().mean()
    assert 0.42 < float(share) < 0.58
    none = paste(images, layers, one_instance(), PasteSpec(probability=0.0), torch.Generator().manual_seed(0))
    assert int(none.channels.sum()) == 0


def test_surroundings_are_the_pixels_near_enough() -> None:
    gen = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, 20, 30), generator=gen, dtype=torch.uint8)
    own = torch.rand(5, 8, generator=gen) < 0.5
    own[:, 0] = own[0] = own[:, -1] = own[-1] = True
    box, margin = (slice(1, 6), slice(21, 29)), 0.3
    pixels, mask, shown = cut_out(image, box, own, margin)
    whole = torch.zeros(20, 30, dtype=torch.bool)
    whole[box] = own
    places = whole.nonzero()
    for y, x in product(range(20), range(30)):
        near = int(((places - torch.tensor([y, x])) ** 2).sum(1).min()) <= (margin * 8) ** 2
        inside = 0 <= y < 8 and 19 <= x < 30  # two pixels each way, as far as the image goes
        if inside:
            assert bool(shown[y, x - 19]) == near
            assert bool(mask[y, x - 19]) == bool(whole[y, x])
        else:
            assert not near
    assert torch.equal(pixels, image[:, :8, 19:])


def test_without_a_margin_an_instance_comes_alone() -> None:
    image, own = torch.zeros(3, 9, 9, dtype=torch.uint8), torch.eye(3, dtype=torch.bool)
    pixels, mask, shown = cut_out(image, (slice(1, 4), slice(2, 5)), own, 0.0)
    assert pixels.shape == (3, 3, 3)
    assert torch.equal(mask, own)
    assert torch.equal(shown, own)
    alone, spec = masked((1,)), MemorySpec(per_class=1, side=64, min_pixels=20)
    assert build_bank(alone, spec, seed=0).shown is None
    bank = build_bank(alone, spec.model_copy(update={"margin": 0.25}), seed=0)
    assert bank.shown is not None
    assert bool(bank.shown[bank.masks].all())
    assert int(bank.shown.sum()) > int(bank.masks.sum())
    assert bank.sizes.tolist() != build_bank(alone, spec, seed=0).sizes.tolist()


def test_banks_with_and_without_surroundings_join() -> None:
    alone = one_instance()
    with_more = replace(alone, shown=torch.ones(1, 8, 8, dtype=torch.bool))
    assert alone.joined(alone).shown is None
    joined = alone.joined(with_more)
    assert joined.shown is not None
    assert torch.equal(joined.shown, torch.cat([alone.masks, with_more.pasted()]))
    assert torch.equal(joined.chosen([1]).pasted(), with_more.pasted())


def test_surroundings_are_pasted_and_have_no_class() -> None:
    shown = torch.zeros(1, 8, 8, dtype=torch.bool)
    shown[0, :8, :6] = True
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[0, 1:7, 1:5] = True
    bank = replace(one_instance(), masks=mask, shown=shown, sizes=torch.tensor([[8, 6]]))
    images, layers = torch.zeros(16, 3, 40, 40), torch.ones(16, 2, 40, 40, dtype=torch.uint8)
    spec = PasteSpec(probability=1.0, count=1, min_scale=1.0, max_scale=1.0)
    result = paste(images, layers, bank, spec, torch.Generator().manual_seed(0))
    covered = result.images.amax(1) > 0.45
    assert (covered | (result.channels == 0)).all()
    around = covered & (result.channels == 0)
    assert int(around.sum()) > 0.5 * int((result.channels == 2).sum()), "24 of 48 pixels"
    assert (result.layers.bool() == ~covered[:, None]).all(), "what was there is hidden by surroundings too"


def test_surroundings_hide_an_earlier_instance() -> None:
    shown = torch.ones(1, 8, 8, dtype=torch.bool)
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[0, 3:5, 3:5] = True
    bank = replace(one_instance(), masks=mask, shown=shown, sizes=torch.tensor([[8, 8]]))
    spec = PasteSpec(probability=1.0, count=12, min_scale=1.0, max_scale=1.0)
    result = paste(torch.zeros(1, 3, 9, 9), None, bank, spec, torch.Generator().manual_seed(0))
    assert int((result.channels == 2).sum()) < 12, (
        "most of twelve in a small image lie below the surroundings of others"
    )


def test_surroundings_alone_are_not_pasted() -> None:
    nothing = torch.zeros(1, 8, 8, dtype=torch.bool)
    bank = replace(one_instance(), masks=nothing, shown=~nothing, sizes=torch.tensor([[8, 8]]))
    images, layers = torch.zeros(4, 3, 24, 24), torch.ones(4, 1, 24, 24, dtype=torch.uint8)
    result = paste(images, layers, bank, PasteSpec(probability=1.0), torch.Generator().manual_seed(0))
    assert torch.equal(result.images, images)
    assert bool(result.layers.bool().all())


def test_what_is_larger_than_the_bank_is_shrunk_with_its_surroundings() -> None:
    spec = MemorySpec(per_class=1, side=16, min_pixels=20, margin=0.5)
    bank = build_bank(masked((1,)), spec, seed=0)
    assert bank.shown is not None
    assert int(bank.sizes.max()) == 16
    assert bool(bank.shown[bank.masks].all())
    rows = bank.shown[0].any(1)
    assert int(bank.masks.sum()) < int(bank.shown.sum()) < int(bank.sizes.prod()), "corners are too far away"
    assert int(rows.sum()) == int(bank.sizes[0, 0])


def test_a_limit_to_what_is_hidden_counts_surroundings() -> None:
    shown, mask = torch.ones(1, 8, 8, dtype=torch.bool), torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[0, 3:5, 3:5] = True
    bank = replace(one_instance(), masks=mask, shown=shown, sizes=torch.tensor([[8, 8]]))
    layers = torch.ones(8, 1, 16, 16, dtype=torch.uint8)  # four pixels are 0.02 of it, 64 are 0.25
    spec = PasteSpec(probability=1.0, count=1, min_scale=1.0, max_scale=1.0, max_hidden=0.05)
    result = paste(torch.zeros(8, 3, 16, 16), layers, bank, spec, torch.Generator().manual_seed(0))
    assert float(1 - result.layers.float().mean((1, 2, 3)).min()) <= 0.05
