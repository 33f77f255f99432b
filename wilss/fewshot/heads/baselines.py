"""What needs no training: the prior mask alone, and matching with prototypes of foreground and background."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wilss.fewshot.heads.contract import HeadInput, HeadOutput
from wilss.fewshot.heads.parts import masked_average, middle, soft_masks, support_priors


class UntrainedHead(nn.Module):
    """Foreground where a score is above a threshold, which `wilss.fewshot.episodic.fit_threshold` finds.

    It has no parameters and no losses.

    Args:
        score: evidence for foreground, float32 ``(B, 1, h, w)``.
    """

    stage1 = ""
    threshold: Tensor

    def __init__(self, score: Callable[[HeadInput], Tensor]) -> None:
        super().__init__()
        self.score = score
        self.register_buffer("threshold", torch.zeros(()))

    def forward(self, inputs: HeadInput) -> HeadOutput:
        """See the class; the logits are the score's distance to the threshold, either way."""
        score = self.score(inputs) - self.threshold
        return HeadOutput(torch.cat([-score, score], 1))


def prior_score(inputs: HeadInput) -> Tensor:
    """PFENet's prior mask, mean over the supports: ``(B, 1, h, w)`` in [0, 1]."""
    return support_priors(inputs.query, inputs.support, inputs.support_mask, inputs.last_stage).mean(1)


def prototype_score(inputs: HeadInput) -> Tensor:
    """Cosine of the middle features to the foreground prototype less that to the background's: ``(B, 1, h, w)``."""
    n, shots = inputs.support_mask.shape[:2]
    support, query = middle(inputs.support).float(), middle(inputs.query).float()
    inside = soft_masks(inputs.support_mask, support.shape[-2:])
    outside = soft_masks((inputs.support_mask == 0).to(torch.uint8), support.shape[-2:])
    cosines = []
    for mask in (inside, outside):
        prototype = masked_average(support, mask).reshape(n, shots, -1, 1, 1).mean(1)
        cosines.append(F.cosine_similarity(query, prototype, dim=1)[:, None])
    return cosines[0] - cosines[1]
