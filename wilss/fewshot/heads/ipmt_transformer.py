"""The transformer of IPMT (Liu et al., NeurIPS 2022): a prototype and the query's features refine each other.

The released code does not run. The order of steps is the paper's, as in VIPMT (Liu et al., ICCV 2023), the video
successor from the same group, in each of L layers with parameters of its own:

1. G_s = LN(FFN(LN(G + MA(G, S, M_s)))), G_q = LN(FFN(LN(G + MA(G, Q, M_q)))), G <- G + G_s + G_q.
2. e = FFN(LN(G)), shared by the layers; mask logits e . Q and e . S; M_q <- sigmoid(e . Q) >= 0.5 without gradient.
3. Q <- ReLU(1x1 [Q; G]); Q <- Q + [3x3 ReLU 3x3 ReLU](Q).
4. Q <- LN(Q + self-attention(Q + positions)); Q <- LN(FFN(Q)).

Letters: B episodes, K supports of each, d features of h x w positions; G prototype, Q query, S supports, M masks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from wilss.fewshot.heads.attention import DeformableAttention, attend, sine_positions, tokens_of
from wilss.fewshot.heads.parts import merge, two_convolutions


class Tokens(NamedTuple):
    """Features ``(B, N, d)`` with bool ``(B, N)``: mask, True on the object; pad, True outside the image."""

    features: Tensor
    mask: Tensor
    pad: Tensor


class Refined(NamedTuple):
    """Results: query ``(B, d, h, w)``; logits of masks layer by layer, ``(B, 1, h, w)`` and ``(B, K, h, w)``."""

    query: Tensor
    query_masks: tuple[Tensor, ...]
    support_masks: tuple[Tensor, ...]


class FeedForward(nn.Module):
    """x + W_2 ReLU(W_1 x), dropout after ReLU and after W_2, no bias: ``(..., d)`` -> ``(..., d)``."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Linear(dim, hidden, bias=False),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, dim, bias=False),
            nn.Dropout(dropout),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = tokens + self.branch(tokens)
        return out


class MaskedAttention(nn.Module):
    """MA: the prototype looks at the tokens of an object; one head, no bias.

    Tokens off the object lose 1e4 of their logit and padded ones, in the mask or not, another 1e4. So an empty mask
    means attention to the whole image, and its padding stays unseen.
    """

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.dropout = dropout

    def forward(self, prototype: Tensor, tokens: Tokens) -> Tensor:
        """``(B, 1, d)`` -> ``(B, 1, d)``."""
        features, mask, pad = tokens
        penalty = ((~mask | pad).float() + pad.float())[:, None]
        dropout = self.dropout if self.training else 0.0
        seen = attend(self.query(prototype), self.key(features), self.value(features), penalty, dropout)
        return nn.functional.dropout(self.out(seen), self.dropout, self.training)


class PrototypeUpdate(nn.Module):
    """LN(FFN(LN(G + MA(G, tokens)))): ``(B, 1, d)`` -> ``(B, 1, d)``."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention = MaskedAttention(dim, dropout)
        self.feed = nn.Sequential(nn.LayerNorm(dim), FeedForward(dim, hidden, dropout), nn.LayerNorm(dim))

    def forward(self, prototype: Tensor, tokens: Tokens) -> Tensor:
        """See the class."""
        out: Tensor = self.feed(prototype + self.attention(prototype, tokens))
        return out


class QueryActivation(nn.Module):
    """Steps 3 and 4: the prototype changes the query's features.

    Args:
        attention: a self-attention of `wilss.fewshot.heads.attention`.
        dim, hidden, dropout: see `IpmtTransformer`.
    """

    def __init__(self, attention: nn.Module, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.mix = merge(2 * dim, dim)
        self.refine = two_convolutions(dim)
        self.attention = attention
        self.dropout = nn.Dropout(dropout)
        self.feed = nn.Sequential(nn.LayerNorm(dim), FeedForward(dim, hidden, dropout), nn.LayerNorm(dim))

    def forward(self, query: Tensor, prototype: Tensor, positions: Tensor, pad: Tensor) -> Tensor:
        """Next query features, ``(B, d, h, w)``.

        Args:
            query: ``(B, d, h, w)``. prototype: ``(B, 1, d)``. positions: ``(d, h, w)``. pad: bool ``(B, h, w)``.
        """
        maps = self.mix(torch.cat([query, prototype[:, 0, :, None, None].expand_as(query)], 1))
        maps = maps + self.refine(maps)
        tokens = self.feed(tokens_of(maps) + self.dropout(self.attention(maps, positions, pad)))
        out: Tensor = tokens.transpose(1, 2).unflatten(2, tuple(query.shape[-2:]))
        return out


class IpmtLayer(nn.Module):
    """One layer: step 1 is `gather`, steps 3 and 4 are `activate`."""

    def __init__(self, attention: nn.Module, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.from_support = PrototypeUpdate(dim, hidden, dropout)
        self.from_query = PrototypeUpdate(dim, hidden, dropout)
        self.activate = QueryActivation(attention, dim, hidden, dropout)

    def gather(self, prototype: Tensor, support: Tokens, query: Tokens) -> Tensor:
        """G + G_s + G_q, ``(B, 1, d)``."""
        return prototype + self.from_support(prototype, support) + self.from_query(prototype, query)


class IpmtTransformer(nn.Module):
    """L layers from a learned first prototype; linear weights start by Xavier's rule, as in the released code.

    Args:
        attention: makes the query self-attention of a layer.
        dim: d, a multiple of 4.
        layers: L. hidden: width of the feed-forward branches. dropout: of all but the convolutions.
    """

    def __init__(self, attention: Callable[[], nn.Module], dim: int, layers: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.prototype = nn.Embedding(1, dim)
        # one level only: a learned vector that is added to all positions
        self.level = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, dim)))
        self.layers = nn.ModuleList(IpmtLayer(attention(), dim, hidden, dropout) for _ in range(layers))
        self.embed = nn.Sequential(nn.LayerNorm(dim), FeedForward(dim, dim, dropout))
        self.reset()

    def reset(self) -> None:
        """Set the initial weights of the linear layers."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, DeformableAttention):
                module.reset()

    def forward(self, query: Tensor, query_mask: Tensor, query_pad: Tensor, support: Tokens) -> Refined:
        """Refine.

        Args:
            query: ``(B, d, h, w)``. query_mask, query_pad: bool ``(B, h, w)``, first guess of the object and padding.
            support: all tokens of the K supports of an episode, ``N = K * h * w``, support by support.
        """
        n, dim, height, width = query.shape
        pad = query_pad.flatten(1)
        positions = sine_positions(dim, height, width, query.device) + self.level[0, :, None, None]
        mask, prototype = query_mask.flatten(1), self.prototype.weight.expand(n, 1, dim)
        query_masks, support_masks = [], []
        for layer in cast(Iterable[IpmtLayer], self.layers):
            tokens = tokens_of(query)
            prototype = layer.gather(prototype, support, Tokens(tokens, mask, pad))
            embedding = self.embed(prototype).transpose(1, 2)
            query_logits = (tokens @ embedding)[:, :, 0]
            mask = query_logits.detach() >= 0
            query_masks.append(query_logits.reshape(n, 1, height, width))
            support_masks.append((support.features @ embedding).reshape(n, -1, height, width))
            query = layer.activate(query, prototype, positions, query_pad)
        return Refined(query, tuple(query_masks), tuple(support_masks))
