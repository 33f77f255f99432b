"""PFENet (Tian et al., TPAMI 2020): prior mask and feature enrichment over several sizes of the map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
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
from wilss.fewshot.heads.spec import PfenetSpec


class PfenetHead(nn.Module):
    """Feature enrichment of the query by the support's prototype and the prior mask.

    For every bin b, where q is the query pooled to b, p the prototype and m the prior at that size:

        f_b = mix_b[q; p; m];  f_b += previous_b[f_b; f_(b-1)] but for the first bin;  f_b += refine_b(f_b)

    Each f_b gives an auxiliary prediction and, enlarged, a part of what the last layers see. K > 1: the mean of the
    prototypes and of the priors.

    Args:
        channels: of c2, c3, c4 and c5.
    """

    stage1 = ""

    def __init__(self, channels: Sequence[int], spec: PfenetSpec) -> None:
        super().__init__()
        self.spec = spec
        width, n_bins = spec.channels, len(spec.bins)
        self.query = reduce_middle(channels[1] + channels[2], width)
        self.support = reduce_middle(channels[1] + channels[2], width)
        self.mix = nn.ModuleList(merge(2 * width + 1, width) for _ in range(n_bins))
        self.previous = nn.ModuleList(merge(2 * width, width) for _ in range(n_bins - 1))
        self.refine = nn.ModuleList(two_convolutions(width) for _ in range(n_bins))
        self.classify_bins = nn.ModuleList(classifier(width) for _ in range(n_bins))
        self.join = merge(n_bins * width, width)
        self.refine_joined = two_convolutions(width)
        self.classify = classifier(width)

    def forward(self, inputs: HeadInput) -> HeadOutput:
        """See `wilss.fewshot.heads.contract.Head`; ``aux`` holds one prediction a bin, at the size of the bin."""
        prototypes, priors = describe_supports(self.support(middle(inputs.support)), inputs, self.spec.detach_prior)
        prototype = prototypes.mean(1)
        return self.predict(self.query(middle(inputs.query)), prototype, priors.mean(1))

    def predict(self, query: Tensor, prototype: Tensor, prior: Tensor) -> HeadOutput:
        """Logits of all bins and of the whole.

        Args:
            query: reduced queries ``(B, C, h, w)``. prototype: ``(B, C, 1, 1)``. prior: ``(B, 1, h, w)``.
        """
        size = query.shape[-2:]
        prior = prior.to(query.dtype)
        enriched: list[Tensor] = []
        aux: list[Tensor] = []
        for i, side in enumerate(self.spec.bins):
            target = bin_size(side, size)
            pooled = F.adaptive_avg_pool2d(query, target)
            maps = self.mix[i](torch.cat([pooled, prototype.expand(-1, -1, *target), resize(prior, target)], 1))
            if enriched:
                # the enlarged output of the bin before, brought down again, as in the released code
                maps = maps + self.previous[i - 1](torch.cat([maps, resize(enriched[-1], target)], 1))
            maps = maps + self.refine[i](maps)
            aux.append(self.classify_bins[i](maps))
            enriched.append(resize(maps, size))
        joined = self.join(torch.cat(enriched, 1))
        return HeadOutput(self.classify(joined + self.refine_joined(joined)), aux=tuple(aux))

    def losses(self, output: HeadOutput, batch: EpisodeBatch) -> dict[str, Tensor]:
        """See `wilss.fewshot.heads.contract.Head`: cross-entropy, and the weighted mean of that of the bins."""
        assert batch.query_mask is not None
        of_bins = [pixel_loss(logits, batch.query_mask) for logits in output.aux]
        return {
            "main": pixel_loss(output.logits, batch.query_mask),
            "aux": self.spec.aux_weight * torch.stack(of_bins).mean(),
        }


def bin_size(side: float, size: tuple[int, int] | torch.Size) -> tuple[int, int]:
    """Height and width of a bin on a map of ``size``: a share, rounded down, or a square; never empty, never larger.

    The released code pools to a square of shares of the height, which is the same on a square map, and repeats
    positions where the bin is larger than the map (60 on VGG's 30).
    """
    height, width = (max(1, min(length, int(length * side if side <= 1 else side))) for length in size)
    return height, width
