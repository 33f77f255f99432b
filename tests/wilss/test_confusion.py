"""The confusion matrix against slow counting; what an absent class and void pixels do."""

from __future__ import annotations

import math

import pytest
import torch

from wilss.measure.confusion import confusion, iou, mask_iou, mask_ratio
from wilss.measure.tables import metrics


def test_matrix_equals_counting() -> None:
    gen = torch.Generator().manual_seed(0)
    truth, prediction = torch.randint(0, 4, (2, 9, 7), generator=gen), torch.randint(0, 4, (2, 9, 7), generator=gen)
    truth[:, 0] = 255
    expected = torch.zeros(4, 4, dtype=torch.int64)
    for t, p in zip(truth.flatten().tolist(), prediction.flatten().tolist(), strict=True):
        if t != 255:
            expected[t, p] += 1
    assert torch.equal(confusion(truth, prediction, 4), expected)


def test_absent_class_is_nan_and_left_out_of_means() -> None:
    truth = torch.tensor([[0, 0, 1, 1, 255]])
    prediction = torch.tensor([[0, 2, 1, 1, 1]])
    values = iou(confusion(truth, prediction, 4))
    assert values[:2].tolist() == [0.5, 1.0]
    assert math.isnan(float(values[2]))  # predicted, but not in the truth
    assert math.isnan(float(values[3]))
    assert float(values.nanmean()) == 0.75


def test_convention_c() -> None:
    values = torch.tensor([0.9, 0.6, 0.8, 0.3, float("nan")], dtype=torch.float64)
    means = metrics(values, 2)
    assert means.old == pytest.approx(0.7)
    assert means.new == pytest.approx(0.3)
    assert means.all == pytest.approx((0.9 + 0.6 + 0.8 + 0.3) / 4)
    assert math.isnan(metrics(values[:3], 2).new)


def test_labels_outside_the_outputs_are_refused() -> None:
    with pytest.raises(ValueError, match="label 5 found, but there are 4 outputs"):
        confusion(torch.tensor([5]), torch.tensor([0]), 4)
    with pytest.raises(ValueError, match="resize"):
        confusion(torch.zeros(2, 2), torch.zeros(3, 3), 4)


def test_everything_void_counts_nothing() -> None:
    assert int(confusion(torch.full((3, 3), 255), torch.zeros(3, 3), 4).sum()) == 0


def test_mask_iou_leaves_void_out() -> None:
    truth = torch.tensor([[[3, 3, 0, 255]]])
    masks = torch.tensor([[[[1, 0, 1, 1]], [[0, 0, 0, 0]]]])
    assert mask_iou(masks, truth, (3, 4)).tolist() == [[1, 3], [0, 0]]


def test_masks_that_are_not_counted_and_classes_without_any_have_no_iou() -> None:
    truth = torch.tensor([[[3, 3, 0, 0]], [[0, 0, 0, 0]]])
    masks = torch.tensor([[[[1, 0, 0, 0]], [[0, 0, 0, 0]]], [[[1, 1, 1, 1]], [[0, 0, 0, 0]]]])
    everything = mask_iou(masks, truth, (3, 4))
    assert everything.tolist() == [[1, 6], [0, 0]]
    counted = mask_iou(masks, truth, (3, 4), torch.tensor([[True, True], [False, True]]))
    assert counted.tolist() == [[1, 2], [0, 0]]
    assert float(mask_ratio(counted)[0]) == 0.5
    assert math.isnan(float(mask_ratio(counted)[1]))
