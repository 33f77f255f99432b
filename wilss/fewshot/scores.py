"""Scores of few-shot segmentation: mean IoU over the classes of a fold, FB-IoU, and how far episodes let them swing.

Imports no torch: pages draw with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wilss.data.source import VOID

if TYPE_CHECKING:
    from torch import Tensor

N_RESAMPLES = 500


def episode_counts(prediction: Tensor, truth: Tensor) -> tuple[int, int, int, int]:
    """Hits and union of the foreground, then of the background, of one query; inputs stay as they are.

    Args:
        prediction: bool or uint8 ``(H, W)``, 1 foreground. truth: uint8 ``(H, W)``, 0, 1 and 255 (left out).

    Raises ValueError for shapes that differ.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"truth has shape {tuple(truth.shape)}, prediction {tuple(prediction.shape)}")
    keep = truth != VOID
    found, wanted = prediction.bool() & keep, (truth == 1) & keep
    both, either, all_pixels = (int(part.sum()) for part in (found & wanted, found | wanted, keep))
    return both, either, all_pixels - either, all_pixels - both


@dataclass(frozen=True)
class EpisodeScores:
    """What a model did in every episode.

    class_ids: int64 ``(E,)``. counts: int64 ``(E, 4)`` of `episode_counts`.
    """

    class_ids: NDArray[np.int64]
    counts: NDArray[np.int64]

    @property
    def pixels(self) -> NDArray[np.int64]:
        """Pixels of every query that count: the foreground's union, and what both call background."""
        total: NDArray[np.int64] = self.counts[:, 1] + self.counts[:, 2]
        return total


@dataclass(frozen=True)
class Summary:
    """IoU in [0, 1]. per_class is NaN for a class without an episode, which the mean leaves out.

    error: standard error of the mean IoU over episodes, by resampling them with replacement.
    """

    per_class: dict[int, float]
    mean_iou: float
    fb_iou: float
    error: float
    episodes: int


def summarise(scores: EpisodeScores, class_ids: Sequence[int]) -> Summary:
    """Intersections and unions are summed over the episodes of a class, then divided (PFENet's rule).

    FB-IoU is the mean of the foreground's and the background's IoU, both over all episodes alike.
    """
    per_class = _class_ious(scores.class_ids, scores.counts, class_ids)
    total = scores.counts.sum(0)
    return Summary(
        dict(zip(class_ids, per_class.tolist(), strict=True)),
        float(np.nanmean(per_class)),
        float((total[0] / max(total[1], 1) + total[2] / max(total[3], 1)) / 2),
        float(np.std(_resampled_means(scores, class_ids), ddof=1)),
        len(scores.counts),
    )


@dataclass(frozen=True)
class Gain:
    """How much higher the mean IoU of one model is than another's, over the same episodes.

    error: standard error of the difference. What makes an episode hard for both models cancels out, so it is smaller
    than the errors of the two scores suggest.
    """

    mean_iou: float
    error: float


def gain(scores: EpisodeScores, over: EpisodeScores, class_ids: Sequence[int]) -> Gain:
    """Difference of two models, with episodes resampled for both together.

    Raises ValueError for models whose episodes differ, in class or in the number of pixels that count.
    """
    if not np.array_equal(scores.class_ids, over.class_ids) or not np.array_equal(scores.pixels, over.pixels):
        raise ValueError("the two models met different episodes; score both on the same ones")
    means = [float(np.nanmean(_class_ious(s.class_ids, s.counts, class_ids))) for s in (scores, over)]
    resampled = [_resampled_means(s, class_ids) for s in (scores, over)]
    return Gain(means[0] - means[1], float(np.std(resampled[0] - resampled[1], ddof=1)))


def _resampled_means(scores: EpisodeScores, class_ids: Sequence[int]) -> NDArray[np.float64]:
    """Mean IoU over episodes drawn with replacement, `N_RESAMPLES` times; the same draws for every model."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(scores.counts), size=(N_RESAMPLES, len(scores.counts)))
    means = [np.nanmean(_class_ious(scores.class_ids[rows], scores.counts[rows], class_ids)) for rows in drawn]
    return np.asarray(means, np.float64)


def _class_ious(
    episode_classes: NDArray[np.int64], counts: NDArray[np.int64], class_ids: Sequence[int]
) -> NDArray[np.float64]:
    position = np.searchsorted(np.asarray(class_ids), episode_classes)
    hits = np.bincount(position, counts[:, 0], minlength=len(class_ids))
    unions = np.bincount(position, counts[:, 1], minlength=len(class_ids))
    return np.where(unions > 0, hits / np.maximum(unions, 1), np.nan)
