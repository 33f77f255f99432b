"""Old or new by region, against transcriptions with loops in float64."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.learn.arbitration import (
    FINER,
    affine_regions,
    arbitrate,
    claimed_shares,
    superpixels,
    without_conflicts,
)

N, C, H, W = 2, 3, 5, 6


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def slow_regions(features: Tensor, least: float) -> list[list[list[int]]]:
    """Flood fill."""
    unit = F.normalize(features.double(), dim=1)
    names = [[[-1] * W for _ in range(H)] for _ in range(N)]
    number = -1
    for n in range(N):
        for start in [(i, j) for i in range(H) for j in range(W)]:
            if names[n][start[0]][start[1]] >= 0:
                continue
            number, waiting = number + 1, [start]
            while waiting:
                i, j = waiting.pop()
                names[n][i][j] = number
                for a, b in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                    new = 0 <= a < H and 0 <= b < W and names[n][a][b] < 0
                    if new and float(unit[n, :, i, j] @ unit[n, :, a, b]) >= least:
                        waiting.append((a, b))
    return names


@pytest.mark.parametrize("least", [0.0, 0.7, 0.8, 0.9, 2.0])
def test_regions_are_connected_cells_of_like_features(least: float) -> None:
    features = drawn(N, 4, H, W)
    found, expected = affine_regions(features, least), torch.tensor(slow_regions(features, least))
    assert found.unique().tolist() == list(range(int(found.max()) + 1))
    pairs = torch.stack([found.flatten(), expected.flatten()], 1).unique(dim=0)
    assert len(pairs) == len(found.unique()) == len(expected.unique()), "the same parts, whatever their numbers"


def slow_shares(regions: Tensor, masks: Tensor) -> Tensor:
    shares = torch.zeros(masks.shape, dtype=torch.float64)
    for name in regions.unique().tolist():
        cells = [tuple(place) for place in (regions == name).nonzero().tolist()]
        middle = [sum(cell[axis] for cell in cells) / len(cells) for axis in (1, 2)]
        spread = max(1.0, math.sqrt(len(cells)) / 2)
        away = [(i - middle[0]) ** 2 + (j - middle[1]) ** 2 for _, i, j in cells]
        weights = [math.exp(-square / (2 * spread**2)) for square in away]
        for c in range(masks.shape[1]):
            claim = sum(w * float(masks[n, c, i, j]) for w, (n, i, j) in zip(weights, cells, strict=True))
            for n, i, j in cells:
                shares[n, c, i, j] = claim / sum(weights)
    return shares


def test_the_middle_of_a_region_counts_most() -> None:
    regions, masks = affine_regions(drawn(N, 4, H, W), 0.75), drawn(N, C, H, W, seed=1)
    assert 2 < len(regions.unique()) < N * H * W
    assert torch.allclose(claimed_shares(regions, masks).double(), slow_shares(regions, masks), atol=1e-5)


def test_every_region_has_one_owner() -> None:
    regions, masks = affine_regions(drawn(N, 4, H, W), 0.75), drawn(N, C, H, W, seed=1)
    old = drawn(N, 4, H, W, seed=2)
    new_stays, old_stays = arbitrate(masks, old, regions, 0.6)
    shares = slow_shares(regions, masks)
    owners = set()
    for n in range(N):
        for i in range(H):
            for j in range(W):
                is_new = max(shares[n, :, i, j].tolist()) > 0.6
                sees_old = max(range(4), key=lambda o, at=(n, i, j): float(old[at[0], o, at[1], at[2]])) > 0
                owners.add((is_new, sees_old))
                assert float(old_stays[n, 0, i, j]) == (not is_new)
                assert float(new_stays[n, 0, i, j]) == (is_new or not sees_old)
    assert len(owners) == 4


def test_parts_of_a_cell_may_have_owners_of_their_own() -> None:
    masks, old = drawn(N, C, H, W, seed=1), drawn(N, 4, H, W, seed=2)
    regions = torch.randint(0, 40, (N, FINER * H, FINER * W), generator=torch.Generator().manual_seed(3))
    regions[1] += 40
    new_stays, old_stays = arbitrate(masks, old, regions, 0.55)
    fine = masks.repeat_interleave(FINER, 2).repeat_interleave(FINER, 3)
    is_new = torch.tensor(
        [
            [[bool(slow[:, i, j].max() > 0.55) for j in range(FINER * W)] for i in range(FINER * H)]
            for slow in slow_shares(regions, fine)
        ]
    )
    for n in range(N):
        for i in range(H):
            for j in range(W):
                parts = is_new[n, FINER * i : FINER * (i + 1), FINER * j : FINER * (j + 1)].double()
                sees_old = int(old[n, :, i, j].argmax()) > 0
                assert float(old_stays[n, 0, i, j]) == pytest.approx(float(1 - parts.mean()))
                assert float(new_stays[n, 0, i, j]) == pytest.approx(float(parts.mean()) if sees_old else 1.0)
    assert ((old_stays > 0) & (old_stays < 1)).any()


def test_superpixels_follow_what_the_image_shows() -> None:
    pytest.importorskip("skimage", reason="needs the extra 'superpixels'")
    images = torch.full((2, 3, 64, 64), 0.1)
    images[0, 0, :, 24:] = 0.9  # a border that no grid of eight by eight has
    images[1, 1, 40:, :] = 0.9
    found = superpixels(images, (16, 16), 16)
    assert found.shape == (2, 16 * FINER, 16 * FINER)
    assert found.dtype == torch.int64
    assert found.unique().tolist() == list(range(int(found.max()) + 1))
    assert int(found[0].max()) < int(found[1].min()), "none spans two images"
    assert 8 <= len(found[0].unique()) <= 24
    for name in found.unique().tolist():
        n, i, j = (found == name).nonzero().T
        assert len(images[n, :, i, j].unique(dim=0)) == 1, "none spans the border of what is shown"
    assert torch.equal(found, superpixels(images, (16, 16), 16))


def test_a_seed_may_not_contradict_a_confident_old_prediction() -> None:
    masks, old = torch.ones(1, 2, 1, 3), torch.tensor([[[[0.99, 0.1, 0.2]], [[0.1, 0.8, 0.6]], [[0.2, 0.1, 0.71]]]])
    assert without_conflicts(masks, old, 0.7).tolist() == [[[[1, 0, 0]], [[1, 0, 0]]]]
    assert torch.equal(without_conflicts(masks, old, 1.0), masks)
