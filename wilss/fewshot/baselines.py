"""What needs no training: the prior mask alone, and matching with prototypes of foreground and background."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wilss.fewshot.contract import EpisodeBatch, HeadInput, HeadOutput
from wilss.fewshot.parts import masked_average, middle, soft_masks, support_priors

SHARPNESS = 20.0
"""Factor on differences of cosines; it changes no argmax before the enlargement."""


class UntrainedHead(nn.Module):
    """A head without parameters: a score and the threshold above which it is foreground."""

    stage1 = ""
    threshold: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("threshold", torch.zeros(()))

    def losses(self, output: HeadOutput, batch: EpisodeBatch) -> dict[str, Tensor]:
        """Nothing is minimised; the threshold is found by `wilss.fewshot.episodic.fit_threshold`."""
        raise NotImplementedError("baselines are not trained")

    def score(self, inputs: HeadInput) -> Tensor:
        """Evidence for foreground, float32 ``(B, 1, h, w)``."""
        raise NotImplementedError

    def forward(self, inputs: HeadInput) -> HeadOutput:
        """Foreground where the score is above the threshold."""
        score = self.score(inputs) - self.threshold
        return HeadOutput(torch.cat([-score, score], 1))


class PriorHead(UntrainedHead):
    """PFENet's prior mask, mean over the supports, cut at one threshold."""

    def score(self, inputs: HeadInput) -> Tensor:
        """In [0, 1]."""
        return support_priors(inputs.query, inputs.support, inputs.support_mask, inputs.last_stage).mean(1)


class PrototypeHead(UntrainedHead):
    """Cosine of the middle features to the foreground prototype less that to the background prototype."""

    def score(self, inputs: HeadInput) -> Tensor:
        """In [-2, 2] times `SHARPNESS`."""
        n, shots = inputs.support_mask.shape[:2]
        support, query = middle(inputs.support).float(), middle(inputs.query).float()
        inside = soft_masks(inputs.support_mask, support.shape[-2:])
        outside = soft_masks((inputs.support_mask == 0).to(torch.uint8), support.shape[-2:])
        cosines = []
        for mask in (inside, outside):
            prototype = masked_average(support, mask).reshape(n, shots, -1, 1, 1).mean(1)
            cosines.append(F.cosine_similarity(query, prototype, dim=1)[:, None])
        return SHARPNESS * (cosines[0] - cosines[1])
