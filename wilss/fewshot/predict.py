"""What a few-shot model makes of frozen episodes, at the resolution at which it is scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from wilss.data.source import Source
from wilss.fewshot.episodes.batches import evaluation_batch
from wilss.fewshot.episodes.canvas import at_original_size
from wilss.fewshot.episodes.draw import Episode, episode_labels
from wilss.fewshot.heads.contract import EpisodeBatch
from wilss.fewshot.model import FewShotModel
from wilss.fewshot.spec import FewShotSpec

BATCH_IMAGES = 16
"""Images that go through a model at once: a prior mask of 60 x 60 positions takes 52 MB for every support,
of 81 x 81 (641 pixels) 172 MB."""


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
    source: Source,
    episodes: Sequence[Episode],
    base: tuple[int, ...],
) -> Iterator[Prediction]:
    """Every episode with the prediction of its query, in order; float32.

    Args:
        model: in evaluation mode. base: base classes when the episodes are about them, else ().

    Raises DataError for a support without its class and for a query that is all void.
    """
    size, legacy = batch_size(spec.shots), spec.resolution == "legacy"
    device = next(model.backbone.parameters()).device
    for start in range(0, len(episodes), size):
        part = episodes[start : start + size]
        batch = evaluation_batch(source, part, spec.size, legacy, device, base)
        for row, logits in enumerate(_logits(model, batch)):
            if spec.resolution == "canvas":
                assert batch.query_mask is not None
                yield Prediction(part[row], logits.argmax(0).bool(), batch.query_mask[row].cpu())
            else:
                truth = episode_labels(source.mask(part[row].query), part[row].class_id, part[row].query)
                height, width = truth.shape
                full = at_original_size(logits[None], height, width, legacy=legacy, square=legacy)
                yield Prediction(part[row], full[0].argmax(0).bool(), truth)


@torch.inference_mode()
def _logits(model: FewShotModel, batch: EpisodeBatch) -> Tensor:
    """float32 ``(B, 2, S, S)`` on the CPU; a generator must not hold inference mode while its caller works."""
    return model.predict(batch).cpu()
