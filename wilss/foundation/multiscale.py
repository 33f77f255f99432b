"""One scorer at several image sizes, and mirrored: the average of all its score maps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.foundation.contracts import Prompts, Scorer


@dataclass(frozen=True)
class MultiScaleScorer:
    """Mean of the scorers' maps on the finest of their grids.

    Args:
        scorers: the same scorer at different scales.
        flip: also score the mirrored image and mirror its maps back.
    """

    scorers: tuple[Scorer, ...]
    digest: str
    flip: bool = False

    @torch.inference_mode()
    def scores(self, images_N3HW: Tensor, prompts: Prompts) -> Tensor:
        """See `wilss.foundation.contracts.Scorer.scores`."""
        maps = [scorer.scores(images_N3HW, prompts) for scorer in self.scorers]
        if self.flip:
            mirrored = images_N3HW.flip(-1)
            maps += [scorer.scores(mirrored, prompts).flip(-1) for scorer in self.scorers]
        h, w = (max(scores.shape[axis] for scores in maps) for axis in (-2, -1))
        enlarged = [F.interpolate(scores, (h, w), mode="bilinear", align_corners=False) for scores in maps]
        return torch.stack(enlarged).mean(0)
