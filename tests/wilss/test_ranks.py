"""Who learns from which images, and what is summed over processes."""

from __future__ import annotations

import pytest
import torch

from tests.wilss.on_ranks import on_two
from wilss.errors import SpecError
from wilss.parallel.ranks import Ranks, here, joined, require_even


@pytest.mark.parametrize(("count", "n"), [(1, 5), (2, 5), (3, 24), (4, 6), (4, 4)])
def test_every_image_is_one_ranks_and_parts_are_even(count: int, n: int) -> None:
    parts = [Ranks(rank, count).rows(n) for rank in range(count)]
    assert [row for part in parts for row in part] == list(range(n))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert sum(Ranks(rank, count).share(n) for rank in range(count)) == pytest.approx(1)


def test_fewer_images_than_ranks_are_everybodys() -> None:
    ranks = [Ranks(rank, 3) for rank in range(3)]
    assert [list(one.rows(2)) for one in ranks] == [[0, 1]] * 3
    assert sum(one.share(2) for one in ranks) == pytest.approx(1)
    assert not ranks[0].splits(2)


def test_alone_nothing_changes() -> None:
    alone, values = here(), torch.arange(3.0)
    assert (alone.rank, alone.count, alone.share(7)) == (0, 1, 1.0)
    with alone.learning_from(3):
        assert alone.batch == 3
        assert alone.gathered(values) is values
        assert alone.evened(torch.tensor(0), 1) == 1
    assert alone.batch == 0
    with joined(Ranks(1, 2)):
        assert here().rank == 1
    assert here() is alone


def test_two_processes_sum_and_gather() -> None:
    found = on_two("collectives")
    assert found["whole"] == [0, 1, 2, 3, 4]
    assert found["gradient"] == [0, 2]  # of the sum of squares, once, though both processes have it
    assert found["mean"] == pytest.approx(12 / 6)


@pytest.mark.parametrize(("size", "devices", "cure"), [(5, 2, "4 or 6"), (3, 4, "4"), (24, 7, "21 or 28")])
def test_a_batch_that_does_not_divide_is_refused_with_those_that_do(size: int, devices: int, cure: str) -> None:
    with pytest.raises(SpecError) as error:
        require_even("step.batch_size", size, devices)
    assert str(error.value) == (
        f"step.batch_size is {size}, which {devices} devices cannot share alike; take --set step.batch_size={cure}, or "
        "another number with --devices"
    )
    require_even("step.batch_size", devices * 2, devices)
