"""IPMT (Liu et al., NeurIPS 2022): a prototype between support and query, mined by masked attention, layer by layer.

The released code does not run (its transformer gives a mask where features are needed), so this is the paper's order of
steps; what it leaves open is as in VIPMT, the runnable successor. Unlike the released code, padding is told from the
sizes of the images, not from the query's labels, which would show the outlines of its objects.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wilss.fewshot.heads.attention import DeformableAttention, SpatialReductionAttention, tokens_of
from wilss.fewshot.heads.contract import EpisodeBatch, HeadInput, HeadOutput
from wilss.fewshot.heads.ipmt_transformer import IpmtTransformer, Tokens
from wilss.fewshot.heads.parts import (
    classifier,
    masked_average,
    merge,
    middle,
    prior_mask,
    reduce_middle,
    resize,
    soft_masks,
    two_convolutions,
)
from wilss.fewshot.heads.spec import IpmtSpec

DICE_FLOOR = 1e-8


class IpmtHead(nn.Module):
    """First guess from global prototype and prior mask, then the transformer, then the prediction.

    K > 1: the tokens of all supports side by side; the means of the prototypes and of the priors.

    With deformable attention ``transformer.level`` has a gradient of exactly zero in the first step, for the offsets
    and weights start without an input.

    Args:
        channels: of c2, c3, c4 and c5.
    """

    stage1 = ""

    def __init__(self, channels: Sequence[int], spec: IpmtSpec) -> None:
        super().__init__()
        self.spec = spec
        dim = spec.dim
        self.query = reduce_middle(channels[1] + channels[2], dim)
        self.support = reduce_middle(channels[1] + channels[2], dim)
        self.mix_query = merge(2 * dim + 1, dim)
        self.mix_support = merge(2 * dim, dim)
        self.refine_init = two_convolutions(dim)
        self.classify_init = classifier(dim)
        self.transformer = IpmtTransformer(self._attention, dim, spec.layers, spec.hidden, spec.dropout)
        self.join = merge(dim, dim)
        self.refine = two_convolutions(dim)
        self.classify = classifier(dim)

    def _attention(self) -> nn.Module:
        spec = self.spec
        if spec.attention == "deformable":
            return DeformableAttention(spec.dim, spec.points)
        return SpatialReductionAttention(spec.dim, ratio=spec.reduction_ratio, dropout=spec.dropout)

    def forward(self, inputs: HeadInput) -> HeadOutput:
        """See `wilss.fewshot.heads.contract.Head`."""
        query, support = self.features(inputs)
        size = query.shape[-2:]
        init = self.classify_init(query + self.refine_init(query))
        masks = support_attention_masks(inputs.support_mask, size)
        tokens = Tokens(
            _by_episode(support, len(query)), masks.flatten(1), _shrink(inputs.support_pad, size).flatten(1)
        )
        pad = _shrink(inputs.query_pad[:, None], size)[:, 0]
        query, query_masks, support_masks = self.transformer(query, init.argmax(1) == 1, pad, tokens)
        query = self.join(query)
        logits = self.classify(query + self.refine(query))
        return HeadOutput(logits, (init,), query_masks, support_masks)

    def features(self, inputs: HeadInput) -> tuple[Tensor, Tensor]:
        """Features mixed with the prototypes: queries ``(B, dim, h, w)``, supports ``(B * K, dim, h, w)``."""
        n, shots = inputs.support_mask.shape[:2]
        query, support = self.query(middle(inputs.query)), self.support(middle(inputs.support))
        prototypes = masked_average(support, soft_masks(inputs.support_mask, support.shape[-2:]))
        prototype = prototypes.reshape(n, shots, -1, 1, 1).mean(1)
        prior = resize(self.prior(inputs), query.shape[-2:]).to(query.dtype)
        query = self.mix_query(torch.cat([query, prototype.expand_as(query), prior], 1))
        return query, self.mix_support(torch.cat([support, prototypes.expand_as(support)], 1))

    def prior(self, inputs: HeadInput) -> Tensor:
        """Mean over the supports of prior masks of c5 with fewer channels: float32 ``(B, 1, *)`` at the size of c5."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.spec.detach_prior):
            return self._prior(inputs)

    def _prior(self, inputs: HeadInput) -> Tensor:
        n, shots = inputs.support_mask.shape[:2]
        c4 = inputs.support.c4
        if self.spec.prior_masks == "twice":
            c4 = c4 * soft_masks(inputs.support_mask, c4.shape[-2:])
        deepest = inputs.last_stage(c4)
        deepest = deepest * soft_masks(inputs.support_mask, deepest.shape[-2:])
        query = self._fewer(inputs.query.c5).repeat_interleave(shots, 0)
        priors = prior_mask(query, self._fewer(deepest))
        return priors.reshape(n, shots, 1, *priors.shape[-2:]).mean(1)

    def _fewer(self, maps: Tensor) -> Tensor:
        """Means of neighbouring channels: ``(N, C5, h, w)`` -> ``(N, deep_channels, h, w)``."""
        channels = self.spec.deep_channels or self.spec.dim
        return F.adaptive_avg_pool1d(tokens_of(maps), channels).transpose(1, 2).unflatten(2, maps.shape[-2:])

    def transformer_parameters(self) -> list[nn.Parameter]:
        """What the authors train by AdamW; all others by SGD."""
        return list(self.transformer.parameters())

    def losses(self, output: HeadOutput, batch: EpisodeBatch) -> dict[str, Tensor]:
        """See `.contract.Head`: Dice of prediction and first guess, and the duplex loss of the masks."""
        assert batch.query_mask is not None
        spec = self.spec
        return {
            "final": spec.final_weight * dice_loss(output.logits, batch.query_mask),
            "init": spec.init_weight * dice_loss(output.aux[0], batch.query_mask),
            "query_masks": spec.duplex_weight
            * spec.query_masks_weight
            * masks_loss(output.query_masks, batch.query_mask[:, None]),
            "support_masks": spec.duplex_weight
            * spec.support_masks_weight
            * masks_loss(output.support_masks, batch.support_mask),
        }


def support_attention_masks(support_mask: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Where the prototype looks in the supports.

    In an empty mask the 2 x 2 positions in the centre are set, in one that covers the map its 4 corners are cleared, so
    that both sides of a mask exist; as the released code does.

    Args:
        support_mask: uint8 ``(B, K, H, W)``, see `EpisodeBatch`.
        size: of the features.

    Returns:
        bool ``(B, K, *size)``.
    """
    height, width = size
    masks = _shrink(support_mask == 1, size)
    centre, corners = masks.new_zeros(height, width), masks.new_zeros(height, width)
    centre[max(height // 2 - 1, 0) : height // 2 + 1, max(width // 2 - 1, 0) : width // 2 + 1] = True
    corners[:: max(height - 1, 1), :: max(width - 1, 1)] = True
    empty = ~masks.any(3).any(2)[:, :, None, None]
    full = masks.all(3).all(2)[:, :, None, None]
    return (masks | (empty & centre)) & ~(full & corners)


def dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum over background and foreground of 1 - 2 sum(p t) / (sum p^2 + sum t^2), averaged over the episodes.

    p is the sigmoid of a channel's enlarged logits, sums run over the pixels of an episode. A pixel of 255 is 0 in both
    targets, so it counts as a negative of both: as in the released code.

    Args:
        logits: ``(B, 2, h, w)``. labels: uint8 ``(B, H, W)``.

    Returns:
        float32 scalar in [0, 2].
    """
    p = resize(logits.float(), labels.shape[-2:]).sigmoid().flatten(2)
    t = torch.stack([labels == 0, labels == 1], 1).to(p.dtype).flatten(2)
    overlap = 2 * (p * t).sum(2) / (p.square() + t.square()).sum(2).clamp(min=DICE_FLOOR)
    return (1 - overlap).sum(1).mean()


def masks_loss(masks: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Mean over layers of the binary cross-entropy at the size of the features; nearest targets, 255 is 0.

    Args:
        masks: logits ``(B, K, h, w)``. labels: uint8 ``(B, K, H, W)``.

    Returns:
        float32 scalar.
    """
    target = _shrink(labels == 1, masks[0].shape[-2:]).float()
    return torch.stack([F.binary_cross_entropy_with_logits(mask.float(), target) for mask in masks]).mean()


def _shrink(masks: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Nearest: bool ``(B, K, H, W)`` -> bool ``(B, K, *size)``."""
    return F.interpolate(masks.float(), size=tuple(size), mode="nearest") > 0


def _by_episode(maps: Tensor, episodes: int) -> Tensor:
    """``(B * K, C, h, w)`` -> ``(B, K * h * w, C)``: the tokens of an episode's supports side by side."""
    return tokens_of(maps).reshape(episodes, -1, maps.shape[1])
