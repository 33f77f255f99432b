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
from wilss.models.predict import logits_of

CPU = torch.device("cpu")
Case = Callable[[Line], Coroutine[Any, Any, Any]]


@pytest.fixture(scope="module")
def loaded(stored: Path) -> Loaded:
    return Loaded.of(model_folder("champion", stored), CPU)


def image(seed: int, height: int = 60, width: int = 80) -> Tensor:
    return torch.from_numpy(np.array(blobs(height, width, seed))).permute(2, 0, 1)


def run(case: Case, batch: int = 4) -> tuple[Any, list[int]]:
    """What a case returns, whose images wait before the line begins to move, and the sizes of passes."""
    passes: list[int] = []

    async def go() -> Any:
        line = Line(batch, passes.append)
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


def test_images_of_one_size_share_a_pass_and_each_gets_its_own_result(loaded: Loaded) -> None:
    images = [image(0), image(1), image(2, 40, 50), image(3), image(4), image(5), image(6, 40, 50)]
    found, passes = run(together(loaded, images))
    assert passes == [4, 2, 1], "four and one of the first size, two of the other; the first in line goes first"
    for one, logits in zip(images, found, strict=True):
        alone = logits_of(loaded.model.network, one[None])
        assert logits.shape == alone.shape
        assert (logits.argmax(1) == alone.argmax(1)).all()
        assert torch.allclose(logits, alone, rtol=1e-4, atol=1e-2)


def test_what_the_others_show_changes_no_bit(loaded: Loaded) -> None:
    mine = image(0)
    first, _ = run(together(loaded, [mine, image(1), image(2)]))
    second, _ = run(together(loaded, [mine, image(3), torch.zeros_like(mine)]))
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])


def test_images_for_two_models_do_not_mix(loaded: Loaded) -> None:
    """As it is while an alias moves: whoever came before gets the model of that time."""
    other = replace(loaded, digest="other")

    async def case(line: Line) -> None:
        await asyncio.gather(*(line.logits(one, image(0)) for one in (loaded, other, loaded)))

    assert run(case)[1] == [2, 1]


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


class Small(nn.Module):
    """A network on a device that holds one image at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return images * self.weight


def test_a_batch_that_is_too_large_for_the_memory_goes_one_by_one(loaded: Loaded) -> None:
    small = replace(loaded, model=replace(loaded.model, network=Small()))  # type: ignore[arg-type]
    found, passes = run(together(small, [image(0), image(1), image(2)]))
    assert passes == [1, 1, 1]
    assert torch.equal(found[2][0], image(2).float() / 255)


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
