"""Parts of a batch get the random numbers that the whole batch gets in one process."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.wilss.test_placing import bank_of
from wilss.data.augment import draw_view
from wilss.data.spec import AugmentSpec
from wilss.learn.copypaste import Look, paste
from wilss.learn.spec import PasteSpec
from wilss.parallel.rows import Rows

N, SIDE = 7, 32


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def parts() -> list[Rows]:
    return [Rows(N, torch.arange(k, k + 1)) for k in range(3)] + [Rows(N, torch.arange(3, N))]


def test_views_of_parts_are_those_of_the_whole() -> None:
    sizes = torch.randint(20, SIDE, (N, 2), generator=generator())
    spec = AugmentSpec(crop=16, brightness=0.3, saturation=0.3, hue=0.1)
    whole, ended = draw_view(spec, sizes, own := generator()), own.get_state()
    views = []
    for rows in parts():
        own = generator()
        views.append(draw_view(spec, sizes[rows.own], own, rows))
        assert torch.equal(own.get_state(), ended)
    assert torch.equal(torch.cat([view.matrix for view in views]), whole.matrix)
    assert torch.equal(torch.cat([view.colour for view in views]), whole.colour)


def seen(rows: Tensor) -> Tensor:
    """An old model that sees class 2 in the left half of every image."""
    found = torch.zeros(len(rows), 8, 8, dtype=torch.int64)
    found[:, :, :4] = 2
    return found


@pytest.mark.parametrize(
    ("rules", "look"),
    [
        ({}, None),
        ({"by_class": True}, None),
        ({"seen_first": True, "on_background": True, "max_hidden": 0.2, "by_class": True}, seen),
    ],
)
@pytest.mark.parametrize("probability", [0.15, 0.6])
@pytest.mark.parametrize("alone", [True, False])
def test_pastes_of_parts_are_those_of_the_whole(
    rules: dict[str, object], look: Look | None, probability: float, alone: bool
) -> None:
    spec = PasteSpec.model_validate({"probability": probability, "count": 3, **rules})
    images = torch.rand(N, 3, SIDE, SIDE, generator=generator())
    layers = (torch.rand(N, 2, SIDE, SIDE, generator=generator()) > 0.5).to(torch.uint8)
    bank = bank_of([1, 2, 2, 3])
    if not alone:  # each brings its surroundings
        bank = replace(bank, masks=torch.eye(8, dtype=torch.bool).expand(4, 8, 8), shown=bank.masks)
    own = generator()
    whole, ended = paste(images, layers, bank, spec, own, look), own.get_state()
    found = []
    for rows in parts():
        own = generator()
        found.append(paste(images[rows.own], layers[rows.own], bank, spec, own, look, rows))
        assert torch.equal(own.get_state(), ended)
    assert whole.channels.any()
    assert torch.equal(torch.cat([part.channels for part in found]), whole.channels)
    assert torch.equal(torch.cat([part.images for part in found]), whole.images)
    for part, rows in zip(found, parts(), strict=True):
        assert part.layers is not None
        assert whole.layers is not None
        assert torch.equal(part.layers, whole.layers[rows.own])


def test_rows_of_chosen_images_are_numbered_among_them() -> None:
    mask = torch.tensor([True, False, True, True, False, False, True])
    chosen = [rows.chosen(mask) for rows in parts()]
    assert [one.whole for one in chosen] == [4] * 4
    assert [one.own.tolist() for one in chosen] == [[0], [], [1], [2, 3]]
