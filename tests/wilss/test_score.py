"""Scoring on full-size images and on centre crops."""

from __future__ import annotations

import pytest
import torch

from tests.wilss.test_methods import segmenter
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import World
from wilss.data.steps import StepLists
from wilss.measure.score import centre_crop, score_crops, score_images
from wilss.protocol import benchmark


@pytest.mark.parametrize("shape", [(40, 64), (64, 40), (32, 32), (20, 90)])
def test_centre_crop_has_the_side_and_keeps_labels(shape: tuple[int, int]) -> None:
    mask = torch.zeros(1, *shape, dtype=torch.uint8)
    mask[:, shape[0] // 2 - 4 : shape[0] // 2 + 4, shape[1] // 2 - 4 : shape[1] // 2 + 4] = 7
    cropped = centre_crop(mask, 32, nearest=True)
    assert cropped.shape == (1, 32, 32)
    assert set(cropped.unique().tolist()) == {0, 7}
    rows = (cropped[0] == 7).any(1).nonzero()[:, 0]
    assert abs(float(rows.float().mean()) - 15.5) <= 1  # the centre stays the centre


def test_square_images_of_the_crops_size_score_alike_and_void_counts_nothing() -> None:
    data = StepLists.open(ScenesSource(World(image_size=32), 8, 10), benchmark("scenes-15-5"), "overlap").evaluation(
        0, 32
    )
    model = segmenter().eval()
    full = score_images(model, data, batch_size=4)
    assert torch.equal(full, score_crops(model, data, 32, batch_size=3))
    void = sum(int((data.full_mask(p) == 255).sum()) for p in range(len(data)))
    assert int(full.sum()) == 10 * 32 * 32 - void
    assert void > 0
    assert int(score_crops(model, data, 16).sum()) < 10 * 16 * 16
