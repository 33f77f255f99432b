"""Counts of episodes, their mean IoU, and the difference of two models over the same episodes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wilss.fewshot.scores import EpisodeScores, Gain, episode_counts, gain, summarise
from wilss.report.fewshot import TuningGain, gain_table, grid_table, split_scores
from wilss.report.fewshot_records import FewShotReport, SplitScores
from wilss.testing.foundations import needs_gpu


def test_counts_ignore_void_and_change_nothing() -> None:
    truth = torch.tensor([[0, 1, 1, 255], [0, 0, 1, 255]], dtype=torch.uint8)
    found = torch.tensor([[1, 1, 0, 1], [0, 0, 1, 0]], dtype=torch.uint8)
    kept = truth.clone(), found.clone()
    assert episode_counts(found, truth) == (2, 4, 2, 4)
    assert EpisodeScores(np.array([1]), np.array([episode_counts(found, truth)])).pixels == [6], "void does not count"
    assert torch.equal(truth, kept[0])
    assert torch.equal(found, kept[1])
    with pytest.raises(ValueError, match="shape"):
        episode_counts(found[:1], truth)


def test_mean_iou_is_over_classes_and_fb_iou_over_all_episodes() -> None:
    scores = EpisodeScores(
        np.array([1, 1, 2, 2]), np.array([[5, 10, 80, 90], [5, 10, 80, 90], [0, 4, 9, 10], [4, 4, 9, 10]])
    )
    found = summarise(scores, (1, 2, 3))
    assert found.per_class[1] == 0.5
    assert found.per_class[2] == 0.5
    assert np.isnan(found.per_class[3])
    assert found.mean_iou == 0.5
    assert found.fb_iou == pytest.approx((14 / 28 + 178 / 200) / 2)
    assert 0 < found.error < 0.5
    told = split_scores(found, {1: "mug", 2: "star", 3: "bone"})
    assert told.per_class_iou == {"mug": 0.5, "star": 0.5, "bone": None}
    assert (told.mean_iou, told.fb_iou, told.standard_error, told.episodes) == (0.5, found.fb_iou, found.error, 4)


def test_what_makes_an_episode_hard_for_both_models_cancels_out_of_their_difference() -> None:
    generator = np.random.default_rng(0)
    classes, hits = np.arange(200) % 2 + 1, generator.integers(10, 90, 200)
    over = EpisodeScores(classes, np.stack([hits, np.full(200, 100), np.full(200, 50), np.full(200, 90)], 1))
    better = EpisodeScores(classes, over.counts + np.array([5, 0, 0, 0]))
    found = gain(better, over, (1, 2))
    assert found.mean_iou == pytest.approx(0.05)
    assert found.error == pytest.approx(0, abs=1e-9), "the same five points more in every episode"
    assert summarise(better, (1, 2)).error > 0.01
    shuffled = EpisodeScores(classes, generator.permutation(better.counts))
    assert gain(shuffled, over, (1, 2)).error > summarise(over, (1, 2)).error, "unrelated models keep both errors"
    for other in (
        EpisodeScores(classes[::-1].copy(), better.counts),
        EpisodeScores(classes, better.counts + np.array([0, 1, 0, 0])),
    ):
        with pytest.raises(ValueError, match="different episodes"):
            gain(other, over, (1, 2))


def test_gains_are_averaged_over_folds_and_spread_over_seeds() -> None:
    one = [TuningGain(f, s, Gain(0.01 * (f + s), 0.02), Gain(0.1, 0.01)) for f in (0, 1) for s in (0, 1)]
    ((name, cells),) = gain_table({"aspp + svf": one}, (0, 1)).rows
    assert name == "aspp + svf"
    assert cells == ("0.5 ± 0.7", "1.5 ± 0.7", "1.0 ± 0.7", "1.4", "10.0 ± 0.0", "0.7")


def test_scores_are_averaged_over_folds_and_spread_over_seeds() -> None:
    def report(fold: int, seed: int, novel: float, base: float) -> FewShotReport:
        scores = [
            SplitScores(per_class_iou={}, mean_iou=mean, fb_iou=mean + 0.2, standard_error=0.01, episodes=1)
            for mean in (novel, base)
        ]
        return FewShotReport.model_construct(fold=fold, seed=seed, novel=scores[0], base=scores[1])

    runs = [report(0, 0, 0.60, 0.70), report(0, 1, 0.62, 0.72), report(1, 0, 0.50, 0.70), report(1, 1, 0.54, 0.74)]
    table = grid_table({"aspp": runs, "once": runs[::2]}, (0, 1), (1,))
    assert table.columns == ("fold 0", "fold 1", "mean", "error", "FB-IoU", "base", "gap")
    assert table.rows == (
        ("aspp", ("61.0 ± 1.4", "52.0 ± 2.8", "56.5 ± 2.1", "0.7", "76.5 ± 2.1", "71.5 ± 2.1", "15.0 ± 0.0")),
        ("once", ("60.0", "50.0", "55.0", "0.7", "75.0", "70.0", "15.0")),
    )


@needs_gpu
def test_counts_are_the_same_on_the_gpu() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.tensor([0, 1, 255], dtype=torch.uint8)[torch.randint(3, (50, 60), generator=generator)]
    found = torch.randint(2, (50, 60), generator=generator)
    assert episode_counts(found.cuda(), truth.cuda()) == episode_counts(found, truth)
