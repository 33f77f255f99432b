"""Seeds, binarisation by attention mass, union, and the co-segmentation as a whole on stand-in models."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wilss.foundation.cosegment import cosegment, enlarge, mask_agreement, mass_level, normalised_scores, sample_seeds
from wilss.foundation.spec import CosegmentSpec


def mass_reference(values: list[float], keep: float) -> set[int]:
    """Smallest set of highest cells that holds at least ``keep`` of the sum."""
    order = sorted(range(len(values)), key=lambda i: -values[i])
    chosen: set[int] = set()
    for index in order:
        if sum(values[i] for i in chosen) >= keep * sum(values) * (1 - 1e-6):
            break
        chosen.add(index)
    return chosen


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 10_000), min_size=4, max_size=24, unique=True), st.floats(0.05, 1.0))
def test_binarise_by_mass_keeps_the_smallest_sufficient_set(numbers: list[int], keep: float) -> None:
    values = [n / 10_000 for n in numbers]
    affinity = torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)
    mask = affinity >= mass_level(affinity, keep, "mass")
    assert set(mask.flatten().nonzero()[:, 0].tolist()) == mass_reference(values, keep)


def test_binarise_by_area_keeps_that_share_of_cells() -> None:
    values = torch.arange(20.0).view(1, 1, 4, 5)
    mask = values >= mass_level(values, 0.25, "area")
    assert mask.flatten().nonzero()[:, 0].tolist() == [15, 16, 17, 18, 19]


def test_guided_filter_moves_a_soft_edge_to_the_image_edge() -> None:
    image = torch.zeros(1, 3, 32, 32)
    image[..., 13:] = 1.0  # the edge lies between two coarse cells of width 8
    coarse = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 4, 4)
    truth = image[:, :1] > 0.5
    wrong = []
    for radius in (0, 6):
        large = enlarge(coarse, image, CosegmentSpec(guided_radius=radius))
        assert large.shape == (1, 1, 32, 32)
        wrong.append(int(((large > 0.5) != truth).sum()))
    assert wrong[1] < wrong[0]


def test_scores_are_stretched_per_image_and_class_and_absent_classes_are_zero() -> None:
    scores = torch.tensor([[[[0.2, 0.4]], [[0.9, 0.1]]]])
    result = normalised_scores(scores, torch.tensor([[True, False]]))
    assert torch.equal(result, torch.tensor([[[[0.0, 1.0]], [[0.0, 0.0]]]]))


@pytest.mark.parametrize("sampling", ["uniform", "confident"])
def test_seeds_lie_in_the_class_region(sampling: str) -> None:
    soft = torch.zeros(1, 2, 6, 8)
    soft[0, 0, 1:3, 2:5] = torch.rand(2, 3) * 0.4 + 0.6
    spec = CosegmentSpec(threshold=0.5, n_seeds=40, seed_sampling=sampling)  # type: ignore[arg-type]
    points = sample_seeds(soft, spec, torch.Generator().manual_seed(0))
    assert points.shape == (1, 2, 40, 2)
    column, row = (points[0, 0] * torch.tensor([8.0, 6.0])).long().unbind(-1)
    assert ((row >= 1) & (row < 3) & (column >= 2) & (column < 5)).all()
    assert len(set(zip(row.tolist(), column.tolist(), strict=True))) == 6  # all of the region is reached


class Corner:
    """Scorer that finds class k in column k."""

    digest = "corner"

    def scores(self, images_N3HW: Tensor, prompts: list[list[str]]) -> Tensor:
        maps = torch.zeros(len(images_N3HW), len(prompts), 4, 4)
        for k in range(len(prompts)):
            maps[:, k, :, k] = 1.0
        return maps


class Row:
    """Grouper that joins a seed with its whole row."""

    digest = "row"

    def affinity(self, images_N3HW: Tensor, seeds_NS2: Tensor) -> Tensor:
        maps = torch.zeros(*seeds_NS2.shape[:2], 4, 4)
        row = (seeds_NS2[..., 1] * 4).long()
        maps.scatter_(2, row[..., None, None].expand(-1, -1, 1, 4), 0.25)
        return maps


@pytest.mark.parametrize("fusion", ["union", "intersection", "initial", "seeds"])
def test_cosegmentation_fuses_both_masks_and_keeps_to_the_tags(fusion: str) -> None:
    tags = torch.tensor([[True, False], [True, True]])
    spec = CosegmentSpec(n_seeds=1, keep=1.0, fusion=fusion)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    labels = cosegment(torch.rand(2, 3, 4, 4), tags, [["a"], ["b"]], [["c"]], Corner(), Row(), spec, generator)  # type: ignore[arg-type]
    assert not labels.refined[0, 1].any()
    assert not labels.initial[0, 1].any()
    for n, k in ((0, 0), (1, 0), (1, 1)):
        column, mask = labels.initial[n, k], labels.refined[n, k]
        assert column[:, k].all()
        assert int(column.sum()) == 4
        assert int(mask.sum()) == {"union": 7, "intersection": 1, "initial": 4, "seeds": 4}[fusion]
        assert float(labels.agreement[n, k]) == pytest.approx(1 / 7)
    assert torch.isnan(labels.agreement[0, 1])


def test_agreement_of_equal_and_of_disjoint_masks() -> None:
    mask = torch.zeros(1, 2, 2, 2, dtype=torch.bool)
    mask[0, 0, 0] = True
    assert float(mask_agreement(mask, mask)[0, 0]) == 1
    assert float(mask_agreement(mask, ~mask)[0, 0]) == 0
    assert torch.isnan(mask_agreement(mask, mask)[0, 1])


def test_tags_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="expected \\(2, 1\\)"):
        cosegment(
            torch.rand(2, 3, 4, 4),
            torch.ones(2, 3, dtype=torch.bool),
            [["a"]],
            [],
            Corner(),  # type: ignore[arg-type]
            Row(),
            CosegmentSpec(),
            torch.Generator(),
        )
