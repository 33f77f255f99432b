"""The ASPP baseline of SVF's paper: PFENet with a pyramid of dilated convolutions in place of its enrichment."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wilss.fewshot.heads.contract import EpisodeBatch, HeadInput, HeadOutput
from wilss.fewshot.heads.parts import (
    classifier,
    describe_supports,
    merge,
    middle,
    pixel_loss,
    reduce_middle,
    resize,
    two_convolutions,
)
from wilss.fewshot.heads.spec import AsppSpec


class Pyramid(nn.Module):
    """Parallel branches, each followed by ReLU: pooled map, 1x1, and 3x3 of every rate; with bias, no BatchNorm.

    ``(N, C, h, w)`` -> ``(N, C * branches, h, w)``.
    """

    def __init__(self, channels: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.pooled = nn.Conv2d(channels, channels, 1)
        branches = [nn.Conv2d(channels, channels, 1)]
        branches += [nn.Conv2d(channels, channels, 3, padding=rate, dilation=rate) for rate in rates]
        self.branches = nn.ModuleList(branches)
        for layer in (self.pooled, *branches):
            nn.init.kaiming_normal_(layer.weight)

    def forward(self, maps: Tensor) -> Tensor:
        """See the class."""
        pooled = self.pooled(maps.mean((2, 3), keepdim=True)).expand(-1, -1, *maps.shape[-2:])
        return torch.cat([pooled, *(branch(maps) for branch in self.branches)], 1).relu()


class AsppHead(nn.Module):
    """Query feature, class prototype and prior mask, one pyramid, one prediction.

    K > 1: the mean of the prototypes and of the priors. The released code sums both, so that they grow with K.

    Args:
        channels: of c2, c3, c4 and c5.
    """

    stage1 = ""

    def __init__(self, channels: Sequence[int], spec: AsppSpec) -> None:
        super().__init__()
        self.spec = spec
        width, n_branches = spec.channels, 2 + len(spec.rates)
        self.query = reduce_middle(channels[1] + channels[2], width)
        self.support = reduce_middle(channels[1] + channels[2], width)
        self.mix = merge(2 * width + 1, width)
        self.pyramid = Pyramid(width, spec.rates)
        self.join = merge(width * n_branches, width)
        self.refine = two_convolutions(width)
        self.classify = classifier(width)

    def forward(self, inputs: HeadInput) -> HeadOutput:
        """See `wilss.fewshot.heads.contract.Head`."""
        prototypes, priors = describe_supports(self.support(middle(inputs.support)), inputs, self.spec.detach_prior)
        prototype = prototypes.mean(1)
        return HeadOutput(self.predict(self.query(middle(inputs.query)), prototype, priors.mean(1)))

    def predict(self, query: Tensor, prototype: Tensor, prior: Tensor) -> Tensor:
        """Logits ``(B, 2, h, w)``; BAM's meta learner is this with weighted prototypes and priors.

        Args:
            query: reduced queries ``(B, C, h, w)``. prototype: ``(B, C, 1, 1)``. prior: ``(B, 1, h, w)`` of any size.
        """
        prior = resize(prior, query.shape[-2:]).to(query.dtype)
        maps = self.mix(torch.cat([query, prototype.expand_as(query), prior], 1))
        maps = self.join(self.pyramid(maps))
        logits: Tensor = self.classify(maps + self.refine(maps))
        return logits

    def losses(self, output: HeadOutput, batch: EpisodeBatch) -> dict[str, Tensor]:
        """See `wilss.fewshot.heads.contract.Head`: one cross-entropy."""
        assert batch.query_mask is not None
        return {"loss": pixel_loss(output.logits, batch.query_mask)}
