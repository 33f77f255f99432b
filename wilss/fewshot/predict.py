"""What a few-shot model makes of frozen episodes, at the resolution at which it is scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from wilss.data.episode_canvas import at_original_size
from wilss.data.episodes import Episode, episode_labels
from wilss.data.source import Source
from wilss.fewshot.batches import evaluation_batch
from wilss.fewshot.model import FewShotModel
from wilss.fewshot.spec import FewShotSpec
from wilss.nets.pretrained import Weights

BATCH_IMAGES = 16
"""Images that go through a model at once: a prior mask of 60 x 60 positions takes 52 MB for every support."""


class Prediction(NamedTuple):
    """found: bool ``(H, W)``, foreground. truth: uint8 ``(H, W)``, 1 the episode's class, 0, 255 left out."""

    episode: Episode
    found: Tensor
    truth: Tensor


def batch_size(shots: int) -> int:
    """Episodes that go through a model at once."""
    return max(1, BATCH_IMAGES // (1 + shots))


def predict_episodes(
    model: FewShotModel,
    spec: FewShotSpec,
    weights: Weights,
    source: Source,
    episodes: Sequence[Episode],
    base: tuple[int, ...],
) -> Iterator[Prediction]:
    """Every episode with the prediction of its query, in order; float32.

    Args:
        model: in evaluation mode. base: base classes when the episodes are about them, else ().

    Raises DataError for a support without its class and for a query that is all void.
    """
    size = batch_size(spec.shots)
    for start in range(0, len(episodes), size):
        yield from _predict(model, spec, weights, source, episodes[start : start + size], base)


@torch.inference_mode()
def _predict(
    model: FewShotModel,
    spec: FewShotSpec,
    weights: Weights,
    source: Source,
    episodes: Sequence[Episode],
    base: tuple[int, ...],
) -> list[Prediction]:
    device, legacy = next(model.backbone.parameters()).device, spec.resolution == "legacy"
    batch = evaluation_batch(source, episodes, spec.size, legacy, weights, device, base)
    logits = model.predict(batch).cpu()
    assert batch.query_mask is not None
    if spec.resolution == "canvas":
        masks = batch.query_mask.cpu()
        return [Prediction(e, logits[k].argmax(0).bool(), masks[k]) for k, e in enumerate(episodes)]
    found = []
    for row, episode in enumerate(episodes):
        truth = episode_labels(source.mask(episode.query), episode.class_id)
        height, width = truth.shape
        full = at_original_size(logits[row : row + 1], height, width, legacy=legacy, square=legacy)
        found.append(Prediction(episode, full[0].argmax(0).bool(), truth))
    return found
