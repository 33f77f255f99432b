"""Numbers of masks without truth, against ones that were worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from wilss.measure.columns import COLUMNS
from wilss.measure.quality import mask_quality, row_iou, softmin


def numbers(mask: torch.Tensor, **given: torch.Tensor) -> dict[str, float]:
    (row,) = mask_quality(mask[None], torch.tensor([0.7]), **{name: value[None] for name, value in given.items()})
    return dict(zip(COLUMNS, row.tolist(), strict=True))


def square(*places: tuple[slice, slice], side: int = 8) -> torch.Tensor:
    mask = torch.zeros(side, side, dtype=torch.bool)
    for place in places:
        mask[place] = True
    return mask


def test_what_is_not_known_is_nan() -> None:
    found = numbers(square((slice(2, 4), slice(2, 4))))
    assert found["agreement"] == pytest.approx(0.7)
    assert math.isnan(found["softmin"])
    assert math.isnan(found["uncertain"])
    assert math.isnan(found["unchanged"])
    assert (found["area"], found["fragments"], found["border"]) == (4 / 64, 1, 0)


def test_fragments_and_border_are_counted() -> None:
    found = numbers(square((slice(0, 1), slice(0, 8)), (slice(3, 4), slice(3, 4)), (slice(4, 5), slice(4, 5))))
    assert found["fragments"] == 2, "corners join"
    assert found["border"] == pytest.approx(8 / 28)
    ring = square((slice(1, 7), slice(1, 7))) & ~square((slice(3, 5), slice(3, 5)))
    assert numbers(ring)["fragments"] == 1
    assert numbers(square())["fragments"] == 0
    assert numbers(torch.ones(1, 5, dtype=torch.bool))["border"] == 1


def test_scores_near_the_threshold_are_uncertain() -> None:
    scores = torch.tensor([[0.0, 0.41], [0.59, 1.0]])
    assert numbers(square(), scores_Rhw=scores)["uncertain"] == 0.5


def test_the_first_guess_is_compared() -> None:
    mask, first = square((slice(0, 4), slice(0, 4))), square((slice(0, 4), slice(2, 6)))
    assert numbers(mask, first_RHW=first)["unchanged"] == pytest.approx(8 / 24)
    assert numbers(square(), first_RHW=square())["unchanged"] == 0, "nothing was seen"
    assert row_iou(square()[None], square()[None]).isnan()


def test_softmin_is_low_where_a_part_is_contradicted() -> None:
    mask = square((slice(0, 4), slice(0, 8)))[None]
    sure = mask.float()
    assert softmin(mask, sure).item() == pytest.approx(1.0)
    wrong = sure.clone()
    wrong[0, 0, 0] = 0.0  # one cell of 64: p = 0 weighs e^10 as much as the others
    expected = 63 / (63 + math.exp(10))
    assert softmin(mask, wrong).item() == pytest.approx(expected, rel=1e-4)
    assert softmin(mask, 1 - sure).item() == pytest.approx(0.0)


def test_a_model_that_has_learnt_gives_no_second_opinion() -> None:
    mask, scores = square((slice(2, 4), slice(2, 4)))[None], torch.full((1, 4, 4), 0.5)
    row = mask_quality(mask, torch.tensor([0.7]), scores, learnt=True)[0]
    found = dict(zip(COLUMNS, row.tolist(), strict=True))
    assert math.isnan(found["softmin"])
    assert found["uncertain"] == 1
