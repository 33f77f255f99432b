"""What waits together goes through the network together, and nothing depends on what it went with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deployments.serving.line import FullError, Line, Room
from deployments.serving.models import Loaded
from tests.deployments.serving.made import blobs
from wilss.models.lookup import model_folder
from wilss.models.maps import output_maps

CPU = torch.device("cpu")
Case = Callable[[Line], Coroutine[Any, Any, Any]]


@pytest.fixture(scope="module")
def loaded(stored: Path) -> Loaded:
    return Loaded.of(model_folder("champion", stored), CPU)


def image(seed: int, height: int = 60, width: int = 80) -> Tensor:
    return torch.from_numpy(np.array(blobs(height, width, seed))).permute(2, 0, 1)


def run(case: Case, batch: int = 4, loose: bool = False) -> tuple[Any, list[int]]:
    """What a case returns, whose images wait before the line begins to move, and the sizes of passes."""
    passes: list[int] = []

    async def go() -> Any:
        line = Line(batch, passes.append, loose)
        waiting = asyncio.create_task(case(line))
        await asyncio.sleep(0.01)
        serving = asyncio.create_task(line.serve())
        try:
            return await asyncio.wait_for(waiting, 60)
        finally:
            serving.cancel()
            line.close()

    return asyncio.run(go()), passes


def together(loaded: Loaded, images: list[Tensor]) -> Case:
    async def case(line: Line) -> list[Tensor]:
        return await asyncio.gather(*(line.logits(loaded, one) for one in images))

    return case


class Alike(nn.Module):
    """A network whose results are the same to the last bit in every batch; it keeps the sizes of its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.sizes: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        return images * self.weight


class Uneven(Alike):
    """As kernels are that add in another order in a batch: the last digits are others."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * (1 + 2e-7 * (len(images) - 1))


class Narrow(Alike):
    """On a device that holds one image at a time."""

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(images)


def through(loaded: Loaded, network: Alike) -> Loaded:
    return replace(loaded, model=replace(loaded.model, network=network), alike={})  # type: ignore[arg-type]


SEVEN = [image(0), image(1), image(2, 40, 50), image(3), image(4), image(5), image(6, 40, 50)]


def test_images_of_one_size_share_a_pass_once_it_is_known_that_it_changes_nothing(loaded: Loaded) -> None:
    network = Alike()
    mine = through(loaded, network)
    for passes in ([1] * 4 + [1, 1] + [1], [4, 2, 1]):
        found, told = run(together(mine, SEVEN))
        assert told == passes, "of five and two: four that go first, two of the other size, the fifth"
        assert all(torch.equal(logits[0], one.float() / 255) for one, logits in zip(SEVEN, found, strict=True))
    four, two = [1, 1, 1, 1, 4, 1, 1, 1, 1], [1, 1, 2, 1, 1]
    assert network.sizes == [*four, *two, 1, 4, 2, 1], "each shape of a batch is tried once, with noise"


@pytest.mark.parametrize("kind", [Uneven, Narrow])
def test_a_batch_that_would_change_a_bit_or_does_not_fit_goes_one_by_one(loaded: Loaded, kind: type[Alike]) -> None:
    mine = through(loaded, kind())
    for _ in range(3):
        found, passes = run(together(mine, SEVEN))
        assert passes == [1] * 7
        assert all(torch.equal(logits[0], one.float() / 255) for one, logits in zip(SEVEN, found, strict=True))
    assert mine.model.network.sizes.count(4) <= 1  # type: ignore[operator, union-attr]


def test_who_says_so_gets_larger_passes_with_other_last_digits(loaded: Loaded) -> None:
    found, passes = run(together(through(loaded, Uneven()), SEVEN), loose=True)
    assert passes == [4, 2, 1]
    assert not torch.equal(found[0][0], SEVEN[0].float() / 255)
    assert torch.allclose(found[0][0], SEVEN[0].float() / 255, rtol=1e-5)


def test_plain_images_do_not_decide_it(loaded: Loaded) -> None:
    """Zeros come out alike of the most uneven kernel."""
    mine, black = through(loaded, Uneven()), torch.zeros_like(image(0))
    run(together(mine, [black, black]))
    found, passes = run(together(mine, SEVEN[:2]))
    assert passes == [1, 1]
    assert torch.equal(found[1][0], SEVEN[1].float() / 255)


def test_memory_that_is_used_up_later_costs_no_answer(loaded: Loaded) -> None:
    network = Narrow()
    mine = through(loaded, network)
    mine.alike[(4, *SEVEN[0].shape, *SEVEN[0].stride())] = True
    found, passes = run(together(mine, SEVEN[:2] + SEVEN[3:5]))
    assert passes == [1, 1, 1, 1]
    assert torch.equal(found[3][0], SEVEN[4].float() / 255)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(60, 80), (33, 47), (96, 96), (1, 1)])
def test_a_student_sees_the_same_to_the_last_bit_whatever_goes_with_an_image(
    loaded: Loaded, size: tuple[int, int], layout: torch.memory_format
) -> None:
    mine = replace(loaded, alike={})
    images = [image(seed, *size)[None].contiguous(memory_format=layout)[0] for seed in range(11)]
    alone = [output_maps(mine.model.network, one[None]) for one in images]
    for batch in (8, 8, 3, 2):
        found, _ = run(together(mine, images), batch)
        assert all(torch.equal(logits, own) for logits, own in zip(found, alone, strict=True))


def test_images_for_two_models_do_not_mix(loaded: Loaded) -> None:
    """As it is while an alias moves: whoever came before gets the model of that time."""
    loaded, other = replace(loaded, alike={}), replace(loaded, digest="other", alike={})

    async def case(line: Line) -> None:
        await asyncio.gather(*(line.logits(one, image(0)) for one in (loaded, other, loaded)))

    assert sum(run(case)[1]) == 3
    assert (2, *image(0).shape, *image(0).stride()) in loaded.alike
    assert other.alike == {}


def test_who_has_gone_is_not_computed(loaded: Loaded) -> None:
    async def case(line: Line) -> Tensor:
        gone = [asyncio.create_task(line.logits(loaded, image(seed))) for seed in range(3)]
        kept = asyncio.create_task(line.logits(loaded, image(3)))
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()
        return await kept

    found, passes = run(case)
    assert passes == [1]
    assert found.shape[0] == 1


def test_an_image_that_the_network_refuses_harms_no_other(loaded: Loaded) -> None:
    async def case(line: Line) -> list[Any]:
        odd = line.logits(loaded, torch.zeros(5, 40, 40, dtype=torch.uint8))
        first = await asyncio.gather(odd, line.logits(loaded, image(1)), return_exceptions=True)
        return [*first, await line.logits(loaded, image(2))]

    (refused, beside, after), _ = run(case)
    assert isinstance(refused, ValueError)
    assert beside.shape == after.shape


def test_there_is_room_for_so_many() -> None:
    room = Room(3)
    with room.places(2):
        with pytest.raises(FullError), room.places(2):
            pass
        with room.places(1):
            assert room.taken == 3
    assert room.taken == 0
    with pytest.raises(ZeroDivisionError), room.places(3):
        raise ZeroDivisionError
    assert room.taken == 0
