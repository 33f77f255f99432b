"""Seeds, binarisation by attention mass, union, and the co-segmentation as a whole on stand-in models."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wilss.errors import SpecError
from wilss.foundation.cosegment import (
    apartness,
    cosegment,
    mask_agreement,
    mass_level,
    mass_share,
    normalised_scores,
    propagated,
    tag_slots,
)
from wilss.foundation.refine import fit_to_image, pamr
from wilss.foundation.seeds import choose_seeds, seed_noise
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


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 10_000), min_size=4, max_size=24, unique=True), st.floats(0.05, 0.99))
def test_shares_of_mass_are_cut_where_the_mass_is_kept(numbers: list[int], keep: float) -> None:
    affinity = torch.tensor(numbers, dtype=torch.float64).view(1, -1)
    kept = mass_share(affinity) > 1 - keep * (1 - 1e-6)
    assert set(kept.flatten().nonzero()[:, 0].tolist()) == mass_reference([float(n) for n in numbers], keep)
    assert float(mass_share(affinity).max()) == 1.0


def test_binarise_by_area_keeps_that_share_of_cells() -> None:
    values = torch.arange(20.0).view(1, 1, 4, 5)
    mask = values >= mass_level(values, 0.25, "area")
    assert mask.flatten().nonzero()[:, 0].tolist() == [15, 16, 17, 18, 19]


@pytest.mark.parametrize("refine", ["guided", "pamr"])
def test_refinement_moves_a_soft_edge_to_the_image_edge(refine: str) -> None:
    image = torch.zeros(1, 3, 32, 32)
    image[..., 13:] = 1.0  # the edge lies between two coarse cells of width 8
    coarse = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 4, 4)
    large = F.interpolate(coarse, (32, 32), mode="bilinear")
    truth = image[:, :1] > 0.5
    spec = CosegmentSpec(refine=refine, guided_radius=6)  # type: ignore[arg-type]
    fitted = fit_to_image(large, image, spec)
    assert fitted.shape == large.shape
    assert int(((fitted > 0.5) != truth).sum()) < int(((large > 0.5) != truth).sum())


def pamr_reference(
    image: torch.Tensor, mask: torch.Tensor, iterations: int, dilations: tuple[int, ...]
) -> torch.Tensor:
    """Pixel by pixel, from the equation."""
    _, height, width = image.shape
    offsets = [(dy * d, dx * d) for d in dilations for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]

    def at(array: torch.Tensor, y: int, x: int) -> torch.Tensor:
        return array[..., min(max(y, 0), height - 1), min(max(x, 0), width - 1)]

    for _ in range(iterations):
        new = torch.zeros_like(mask)
        for y in range(height):
            for x in range(width):
                around = torch.stack([at(image, y + dy, x + dx) for dy, dx in offsets])
                centre = at(image, y, x)[None].expand(len(dilations), -1)  # once for each dilation
                sigma = torch.cat([around, centre]).std(0)
                logits = -((around - at(image, y, x)).abs() / (0.1 * sigma + 1e-8)).mean(1)
                values = torch.stack([at(mask, y + dy, x + dx) for dy, dx in offsets])
                new[..., y, x] = (logits.softmax(0)[:, None] * values).sum(0)
        mask = new
    return mask


def test_pamr_equals_its_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    image, mask = torch.rand(3, 6, 7, generator=generator), torch.rand(2, 6, 7, generator=generator)
    found = pamr(image[None], mask[None], 2, (1, 2))[0]
    torch.testing.assert_close(found, pamr_reference(image, mask, 2, (1, 2)), atol=1e-6, rtol=1e-5)


def test_pamr_does_not_feel_a_shift_of_the_image() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (1, 3, 8, 8), generator=generator) / 256
    mask = torch.rand(1, 2, 8, 8, generator=generator)
    shifted = pamr(image + 4096, mask, 3, (1, 2))  # exact in float32, while squares of it are not
    torch.testing.assert_close(shifted, pamr(image, mask, 3, (1, 2)), atol=1e-6, rtol=1e-5)


def test_scores_spread_to_the_cells_that_belong_together() -> None:
    soft = torch.tensor([[[[1.0, 0.0], [0.0, 0.2]]]])
    together = torch.tensor([[0.5, 0.0, 0.5, 0.0], [0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 0, 0, 1]])[None]
    spread = propagated(soft, together, (2, 2), 1)[0, 0]
    torch.testing.assert_close(spread, torch.tensor([[1.0, 0.0], [1.0, 0.4]]))


def test_scores_are_stretched_per_image_and_class_and_absent_classes_are_zero() -> None:
    scores = torch.tensor([[[[0.2, 0.4]], [[0.9, 0.1]]]])
    result = normalised_scores(scores, torch.tensor([[True, False]]))
    assert torch.equal(result, torch.tensor([[[[0.0, 1.0]], [[0.0, 0.0]]]]))


def region() -> torch.Tensor:
    soft = torch.zeros(1, 2, 6, 8)
    soft[0, 0, 1:3, 2:5] = torch.rand(2, 3, generator=torch.Generator().manual_seed(3)) * 0.4 + 0.6
    return soft


@pytest.mark.parametrize("sampling", ["uniform", "weighted", "confident", "farthest"])
def test_seeds_lie_in_the_class_region(sampling: str) -> None:
    spec = CosegmentSpec(threshold=0.5, n_seeds=40, seed_sampling=sampling)  # type: ignore[arg-type]
    points = choose_seeds(region(), seed_noise(["one"], 2, 40, 0), spec)
    assert points.shape == (1, 2, 40, 2)
    column, row = (points[0, 0] * torch.tensor([8.0, 6.0])).long().unbind(-1)
    assert ((row >= 1) & (row < 3) & (column >= 2) & (column < 5)).all()
    assert len(set(zip(row.tolist(), column.tolist(), strict=True))) == 6  # all of the region is reached


def test_confident_seeds_are_the_highest_and_farthest_seeds_spread() -> None:
    soft = torch.zeros(1, 1, 1, 8)
    soft[0, 0, 0] = torch.tensor([0.6, 0.7, 0.9, 0.8, 0.6, 0.6, 0.6, 0.1])
    noise = seed_noise(["one"], 1, 3, 0)
    columns = {}
    for sampling in ("confident", "farthest"):
        points = choose_seeds(soft, noise, CosegmentSpec(n_seeds=3, seed_sampling=sampling))  # type: ignore[arg-type]
        columns[sampling] = (points[0, 0, :, 0] * 8).long().tolist()
    assert columns == {"confident": [2, 3, 1], "farthest": [2, 6, 0]}


def test_seed_noise_belongs_to_the_image_not_to_its_batch() -> None:
    both = seed_noise(["a", "b"], 2, 5, 7)
    assert torch.equal(both[1:], seed_noise(["b"], 2, 5, 7))
    assert not torch.equal(both[0], both[1])
    assert not torch.equal(both, seed_noise(["a", "b"], 2, 5, 8))


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

    def grid(self, height: int, width: int) -> tuple[int, int]:
        return 4, 4

    def affinity(self, images_N3HW: Tensor, seeds_NS2: Tensor) -> Tensor:
        maps = torch.zeros(*seeds_NS2.shape[:2], 4, 4)
        row = (seeds_NS2[..., 1] * 4).long()
        maps.scatter_(2, row[..., None, None].expand(-1, -1, 1, 4), 0.25)
        return maps


@pytest.mark.parametrize("fusion", ["union", "intersection", "scores", "seeds"])
def test_cosegmentation_fuses_both_masks_and_keeps_to_the_tags(fusion: str) -> None:
    tags = torch.tensor([[True, False], [True, True]])
    spec = CosegmentSpec(n_seeds=1, keep=1.0, fusion=fusion)  # type: ignore[arg-type]
    noise = seed_noise(["one", "two"], 2, 1, 1)
    labels = cosegment(torch.rand(2, 3, 4, 4), tags, [["a"], ["b"]], [["c"]], Corner(), Row(), spec, noise)  # type: ignore[arg-type]
    assert not labels.refined[0, 1].any()
    assert not labels.initial[0, 1].any()
    for n, k in ((0, 0), (1, 0), (1, 1)):
        column, mask = labels.initial[n, k], labels.refined[n, k]
        assert column[:, k].all()
        assert int(column.sum()) == 4
        assert int(mask.sum()) == {"union": 7, "intersection": 1, "scores": 4, "seeds": 4}[fusion]
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
            seed_noise(["a", "b"], 1, 10, 0),
        )


def run(tags: list[list[bool]], images: torch.Tensor | None = None, ids: list[str] | None = None) -> object:
    n = len(tags)
    images = torch.rand(n, 3, 4, 4, generator=torch.Generator().manual_seed(0)) if images is None else images
    noise = seed_noise(ids or [str(k) for k in range(n)], 3, 2, 0)
    spec = CosegmentSpec(n_seeds=2, refine="guided", guided_radius=1)
    prompts = [["a"], ["b"], ["c"]]
    return cosegment(images, torch.tensor(tags), prompts, [], Corner(), Row(), spec, noise)  # type: ignore[arg-type]


def test_an_image_without_any_tag_gets_empty_masks() -> None:
    labels = run([[False, False, False], [False, True, False]])
    assert not labels.initial[0].any()  # type: ignore[attr-defined]
    assert not labels.refined[0].any()  # type: ignore[attr-defined]
    assert labels.refined[1, 1].any()  # type: ignore[attr-defined]
    assert torch.isnan(labels.agreement[0]).all()  # type: ignore[attr-defined]
    assert not run([[False, False, False]]).refined.any()  # type: ignore[attr-defined]


def test_an_image_is_labelled_alike_alone_and_in_a_batch() -> None:
    tags = [[True, False, True], [False, True, False], [True, True, True]]
    images = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    together = run(tags, images)
    for k in range(3):
        alone = run(tags[k : k + 1], images[k : k + 1], [str(k)])
        assert torch.equal(alone.refined[0], together.refined[k])  # type: ignore[attr-defined]
        assert torch.equal(alone.soft[0], together.soft[k])  # type: ignore[attr-defined]


def test_slots_hold_the_tagged_classes_first() -> None:
    slots, used = tag_slots(torch.tensor([[False, True, False, True], [False, False, True, False]]))
    assert slots[0].tolist() == [1, 3]
    assert used.tolist() == [[True, True], [True, False]]
    assert int(slots[1, 0]) == 2


def test_an_empty_ontology_is_refused() -> None:
    noise = torch.zeros(1, 0, 10)
    with pytest.raises(SpecError, match="the ontology is empty"):
        cosegment(torch.rand(1, 3, 4, 4), torch.zeros(1, 0).bool(), [], [], Corner(), Row(), CosegmentSpec(), noise)  # type: ignore[arg-type]


class Flat(Corner):
    """Scorer that sees nothing."""

    def scores(self, images_N3HW: Tensor, prompts: list[list[str]]) -> Tensor:
        return torch.full((len(images_N3HW), len(prompts), 4, 4), 0.3)


class Peak(Row):
    """Grouper whose affinity is a single cell."""

    def affinity(self, images_N3HW: Tensor, seeds_NS2: Tensor) -> Tensor:
        maps = torch.full((*seeds_NS2.shape[:2], 4, 4), 0.01)
        maps[..., 1, 2] = 1.0
        return maps / maps.sum((2, 3), keepdim=True)


def test_a_class_of_which_nothing_is_seen_stays_empty() -> None:
    noise = seed_noise(["one"], 1, 4, 0)
    spec = CosegmentSpec(n_seeds=4)
    tags = torch.tensor([[True]])
    labels = cosegment(torch.rand(1, 3, 8, 8), tags, [["a"]], [], Flat(), Row(), spec, noise)  # type: ignore[arg-type]
    assert not labels.initial.any()
    assert not labels.refined.any()


def test_a_seed_mask_of_one_cell_covers_about_one_cell() -> None:
    noise = seed_noise(["one"], 1, 4, 0)
    spec = CosegmentSpec(n_seeds=4, keep=0.5, fusion="seeds")
    tags = torch.tensor([[True]])
    labels = cosegment(torch.rand(1, 3, 32, 32), tags, [["a"]], [], Corner(), Peak(), spec, noise)  # type: ignore[arg-type]
    assert 32 <= int(labels.refined.sum()) <= 96  # a cell has 8 x 8 pixels
    assert bool(labels.refined[0, 0, 12, 20])


def test_refinement_may_fit_the_fused_mask_instead_of_the_scores() -> None:
    image = torch.zeros(1, 3, 32, 32)
    image[..., :17] = 1.0  # the scorer's column ends at 8, the edge of the image's object at 17
    noise, tags = seed_noise(["one"], 1, 4, 0), torch.tensor([[True]])
    found = {}
    for what in ("scores", "fused"):
        spec = CosegmentSpec(n_seeds=4, fusion="seeds", keep=0.5, refine="guided", guided_radius=6, refine_what=what)  # type: ignore[arg-type]
        found[what] = cosegment(image, tags, [["a"]], [], Corner(), Peak(), spec, noise).refined  # type: ignore[arg-type]
    bare = CosegmentSpec(n_seeds=4, fusion="seeds", keep=0.5)
    seeds = cosegment(image, tags, [["a"]], [], Corner(), Peak(), bare, noise).refined  # type: ignore[arg-type]
    assert torch.equal(found["scores"], seeds)  # the seeds' mask alone is left as it is
    assert not torch.equal(found["fused"], seeds)


def test_apartness_is_that_of_its_slow_definition() -> None:
    gen = torch.Generator().manual_seed(0)
    inside, between = torch.rand(2, 3, 6, generator=gen), torch.rand(2, 6, 6, generator=gen)
    between = between / between.sum(2, keepdim=True)
    inside[1, 2] = 0
    found = apartness(inside, between)
    for n in range(2):
        for t in range(3):
            share = inside[n, t].double()
            given = [
                sum(float(between[n, cell, other]) * float(share[other]) for other in range(6)) for cell in range(6)
            ]
            of_mask = sum(g * float(s) for g, s in zip(given, share, strict=True)) / max(float(share.sum()), 1e-6)
            outside = sum(g * (1 - float(s)) for g, s in zip(given, share, strict=True)) / float((1 - share).sum())
            assert float(found[n, t]) == pytest.approx(of_mask - outside, abs=1e-6)
    assert found[1, 2] == 0, "an empty mask stands for nothing"
    whole = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
    blocks = torch.block_diag(torch.full((2, 2), 0.5), torch.full((2, 2), 0.5))[None]
    assert float(apartness(whole, blocks)) == pytest.approx(1), "a thing of its own"
    assert float(apartness(whole, torch.full((1, 4, 4), 0.25))) == pytest.approx(0), "nothing that the grouper sees"


class Halves:
    """ "a" is ahead on the left, another word on the right; everything has some score."""

    def scores(self, images_N3HW: Tensor, prompts: list[list[str]]) -> Tensor:
        scores = torch.full((len(images_N3HW), len(prompts), 4, 4), 0.2)
        scores[:, 0] = torch.tensor([0.9, 0.8, 0.7, 0.1])
        scores[:, 1:, :, 2:] = 0.75
        return scores


@pytest.mark.parametrize(("others", "share"), [([["b"]], 2 / 3), ([["b"], ["c"]], 2 / 3), ([], None)])
def test_wins_is_the_share_of_the_mask_where_the_class_is_ahead(others: list[list[str]], share: float | None) -> None:
    spec = CosegmentSpec(n_seeds=1, threshold=0.5, fusion="union", keep=0.1)
    noise = seed_noise(["one"], 1, 1, 1)
    images, tags = torch.rand(1, 3, 4, 4), torch.tensor([[True]])
    labels = cosegment(images, tags, [["a"]], others, Halves(), Nothing(), spec, noise)  # type: ignore[arg-type]
    assert labels.refined[0, 0, 0].tolist() == [True, True, True, False]
    if share is None:
        assert torch.isnan(labels.wins[0, 0]), "nothing to win against"
    else:
        assert float(labels.wins[0, 0]) == pytest.approx(share)
    assert torch.isnan(labels.apart[0, 0]), "the grouper was not asked"


class Nothing:
    """All affinity in one cell, which every mask has."""

    def grid(self, height: int, width: int) -> tuple[int, int]:
        return 4, 4

    def affinity(self, images_N3HW: Tensor, seeds_NS2: Tensor) -> Tensor:
        maps = torch.zeros(*seeds_NS2.shape[:2], 4, 4)
        maps[..., 0, 0] = 1
        return maps
