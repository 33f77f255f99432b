"""Images on the canvas and predictions back at original size."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wilss.errors import SpecError
from wilss.fewshot.episodes.canvas import at_original_size, canvas_images, canvas_labels, fit, fitted_size, pad_masks

lengths = st.integers(1, 900)


def square(height: int, width: int) -> Tensor:
    """A label with a large rectangle of class 1."""
    label = torch.zeros(height, width, dtype=torch.uint8)
    label[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4] = 1
    return label


def two_logits(labels: Tensor) -> Tensor:
    """Labels ``(N, S, S)`` as the logits of a perfect prediction; padding is background."""
    return F.one_hot((labels == 1).long(), 2).permute(0, 3, 1, 2).float()


def centre(mask: Tensor) -> Tensor:
    return mask.nonzero().float().mean(0)


@pytest.mark.parametrize(
    ("size", "side", "exact", "legacy"),
    [
        ((375, 500), 473, (355, 473), (352, 472)),
        ((500, 375), 473, (473, 355), (472, 352)),
        ((333, 500), 641, (427, 641), (424, 640)),
        ((500, 500), 473, (473, 473), (472, 472)),
        ((40, 60), 473, (315, 473), (312, 472)),  # enlarged
        ((3, 900), 90, (1, 90), (8, 88)),
    ],
)
def test_sizes(size: tuple[int, int], side: int, exact: tuple[int, int], legacy: tuple[int, int]) -> None:
    assert fitted_size(*size, side) == exact
    assert fitted_size(*size, side, legacy=True) == legacy
    image = torch.zeros((3, *size), dtype=torch.uint8)
    for is_legacy, expected in ((False, exact), (True, legacy)):
        assert fit(image, side, is_legacy).shape == (3, *expected)
        assert fit(image[:1], side, is_legacy, nearest=True).shape == (1, *expected)


@settings(deadline=None)
@given(lengths, lengths, st.integers(8, 700), st.booleans())
def test_sizes_stay_inside_and_keep_the_longer_side(height: int, width: int, side: int, legacy: bool) -> None:
    new = fitted_size(height, width, side, legacy)
    assert fitted_size(width, height, side, legacy) == new[::-1]
    assert max(new) == (side // 8 * 8 if legacy else side)
    assert min(new) >= (8 if legacy else 1)
    ideal = min(height, width) * side / max(height, width)
    assert abs(min(new) - ideal) <= (8 if legacy else 1)
    if legacy:
        assert not any(length % 8 for length in new)


@pytest.mark.parametrize("legacy", [False, True])
def test_canvas_is_black_and_labels_are_void_outside_the_image(legacy: bool) -> None:
    images = [torch.full((3, *size), 200, dtype=torch.uint8) for size in ((30, 45), (120, 80), (64, 64))]
    stacked, sizes = canvas_images(images, 64, legacy)
    pad = pad_masks(sizes, 64)
    assert stacked.shape == (3, 3, 64, 64)
    assert stacked.dtype == torch.uint8
    assert sizes.tolist() == [list(fitted_size(image.shape[1], image.shape[2], 64, legacy)) for image in images]
    assert (stacked == 200).all(1).equal(~pad)
    assert (stacked == 0).all(1).equal(pad)
    labels = canvas_labels([image[0] // 100 for image in images], 64, legacy)
    assert labels.unique().tolist() == [2, 255]
    assert (labels == 255).equal(pad)


def test_padding_comes_from_sizes_never_from_labels() -> None:
    labels = canvas_labels([torch.full((32, 64), 255, dtype=torch.uint8)], 64)
    assert (labels == 255).all()
    pad = pad_masks(torch.tensor([[[32, 64], [64, 16]]]), 64)
    assert pad.shape == (1, 2, 64, 64)
    assert [int(p.sum()) for p in pad[0]] == [32 * 64, 64 * 48]


def test_an_image_of_the_canvas_size_is_left_alone() -> None:
    image = torch.randint(0, 256, (3, 64, 48), dtype=torch.uint8)
    for legacy in (False, True):
        assert torch.equal(canvas_images([image], 64, legacy)[0][0, :, :, :48], image)
    logits = torch.randn(2, 2, 64, 64)
    assert torch.equal(at_original_size(logits, 64, 48), logits[..., :48])


@settings(max_examples=40, deadline=None)
@given(st.integers(24, 200), st.integers(24, 200), st.booleans())
def test_a_perfect_prediction_on_the_canvas_is_one_at_original_size(height: int, width: int, legacy: bool) -> None:
    label = square(height, width)
    back = at_original_size(two_logits(canvas_labels([label], 96, legacy)), height, width, legacy).argmax(1)[0]
    assert back.shape == label.shape
    for axis, length in enumerate(fitted_size(height, width, 96, legacy)):
        edges = [(m == 1).any(1 - axis).nonzero()[[0, -1], 0].float() for m in (back, label)]
        assert (edges[0] - edges[1]).abs().max() <= 1 + label.shape[axis] / length  # one pixel here, one there


def test_pixels_are_areas_whose_centres_stay_where_they_are() -> None:
    label = torch.randint(0, 2, (1, 77, 77), dtype=torch.uint8)
    for side in (32, 200):
        assert torch.equal(fit(label.flip(-1), side, nearest=True), fit(label, side, nearest=True).flip(-1))
    across = (torch.arange(64) + 0.5).expand(1, 2, 64, 64)  # a ramp of positions
    back = at_original_size(across, 100, 128)[0, 0, 0, 1:-1]
    assert torch.allclose(back, (torch.arange(1, 127) + 0.5) / 2, atol=1e-4)


def test_true_geometry_keeps_the_place_and_the_legacy_square_does_not() -> None:
    label = torch.zeros(375, 500, dtype=torch.uint8)
    label[300:370, 400:495] = 1
    logits = two_logits(canvas_labels([label], 473, legacy=True))
    exact, shifted = (at_original_size(logits, 375, 500, legacy=True, square=s).argmax(1)[0] for s in (False, True))
    truth = centre(label == 1)
    assert (centre(exact == 1) - truth).abs().max() < 0.6
    drift = centre(shifted == 1) - truth
    assert -3.2 < float(drift[0]) < -1.5  # 352 rows come back as 372, not 375
    assert shifted.shape == label.shape
    plain = two_logits(canvas_labels([label], 473))
    assert (centre(at_original_size(plain, 375, 500).argmax(1)[0] == 1) - truth).abs().max() < 0.6


def test_the_legacy_square_is_a_crop_of_the_published_enlargement() -> None:
    logits = torch.randn(1, 2, 41, 41)
    whole = F.interpolate(logits, (90, 90), mode="bilinear", align_corners=True)
    assert torch.equal(at_original_size(logits, 60, 90, square=True), whole[:, :, :60])


def test_shrinking_smooths_except_in_legacy_mode() -> None:
    stripes = torch.zeros(3, 256, 256, dtype=torch.uint8)
    stripes[:, :, ::2] = 200
    assert fit(stripes, 32).float().std() < 10
    label = torch.randint(0, 3, (1, 77, 130), dtype=torch.uint8) * 100
    for legacy in (False, True):
        for side in (32, 200):
            assert set(fit(label, side, legacy, nearest=True).unique().tolist()) <= {0, 100, 200}


def test_what_has_no_geometry_is_refused() -> None:
    with pytest.raises(SpecError, match="an image of 0 x 5 does not fit"):
        fitted_size(0, 5, 64)
    with pytest.raises(SpecError, match="a canvas of 7; sides are 8 or more"):
        fitted_size(5, 5, 7, legacy=True)
    with pytest.raises(SpecError, match=r"shape \(1, 2, 8, 9\); those of a square canvas"):
        at_original_size(torch.zeros(1, 2, 8, 9), 5, 5)
