"""Several scorers, or one at several image sizes, and mirrored: the average of all their score maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.foundation.contracts import Prompts, Scorer, scores_among


@dataclass(frozen=True)
class MultiScaleScorer:
    """Mean of the scorers' maps on the finest of their grids.

    Args:
        scorers: the same scorer at different scales, or different ones.
        flip: also score the mirrored image and mirror its maps back.
    """

    scorers: tuple[Scorer, ...]
    digest: str
    flip: bool = False

    @torch.inference_mode()
    def scores(self, images_N3HW: Tensor, prompts: Prompts) -> Tensor:
        """See `wilss.foundation.contracts.Scorer.scores`."""
        return self._mean(images_N3HW, lambda scorer, images: scorer.scores(images, prompts))

    @torch.inference_mode()
    def scores_among(self, images_N3HW: Tensor, prompts: Prompts, allowed_NC: Tensor) -> Tensor:
        """See `wilss.foundation.contracts.TagScorer.scores_among`."""
        return self._mean(images_N3HW, lambda scorer, images: scores_among(scorer, images, prompts, allowed_NC))

    def _mean(self, images_N3HW: Tensor, scores: Callable[[Scorer, Tensor], Tensor]) -> Tensor:
        mirrored = images_N3HW.flip(-1) if self.flip else None  # first, so that the images themselves come last
        maps = [scores(scorer, mirrored).flip(-1) for scorer in self.scorers] if mirrored is not None else []
        maps = [*(scores(scorer, images_N3HW) for scorer in self.scorers), *maps]
        h, w = (max(scores.shape[axis] for scores in maps) for axis in (-2, -1))
        enlarged = [F.interpolate(scores, (h, w), mode="bilinear", align_corners=False) for scores in maps]
        return torch.stack(enlarged).mean(0)
