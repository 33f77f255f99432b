"""The three conventions on a case with the published means of WILSON's 10-10 disjoint row; forgetting; groups."""

from __future__ import annotations

import pytest
import torch

from wilss.measure.tables import forgetting, group_means, metrics, scoring_title


def wilson_10_10_disjoint() -> torch.Tensor:
    """Twenty classes around the published means: old 64.45 (66.7 with background), new 54.35, all 60.82."""
    spread = torch.linspace(-0.2, 0.2, 10, dtype=torch.float64)
    background = torch.tensor([11 * 0.667 - 10 * 0.6445], dtype=torch.float64)
    return torch.cat([background, 0.6445 + spread, 0.5435 + spread])


def test_conventions_reproduce_the_worked_example() -> None:
    values = wilson_10_10_disjoint()
    c, b, a = (metrics(values, 10, name) for name in ("C", "B", "A"))
    assert 100 * c.old == pytest.approx(64.45, abs=0.005)
    assert 100 * b.old == pytest.approx(66.7, abs=0.005)
    assert 100 * c.all == pytest.approx(60.82, abs=0.005)
    assert b.all == c.all
    assert a.old == c.old
    assert a.new == b.new == c.new
    assert 100 * a.all == pytest.approx((64.45 + 54.35) / 2, abs=0.005)


def test_forgetting_is_the_drop_of_the_base_classes() -> None:
    base, now = torch.tensor([0.9, 0.8, 0.6]), torch.tensor([0.1, 0.7, 0.5, 0.3])
    assert forgetting(now, base, 2) == pytest.approx(0.1)
    assert forgetting(base, base, 2) == 0


def test_groups_are_the_steps_without_background() -> None:
    values = torch.tensor([0.9, 0.2, 0.4, 0.6, float("nan")])
    assert group_means(values[:4], (2, 1)) == pytest.approx((0.3, 0.6))


def test_titles_say_what_was_scored() -> None:
    assert scoring_title("full", None) == "full-size images"
    assert scoring_title("crop", 512) == "512 px centre crops"
    assert scoring_title("voc crop", 512) == "voc: 512 px centre crops"
