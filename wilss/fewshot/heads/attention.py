"""Self-attention over a feature map: with keys of lower resolution, or with a few sampled positions of each query.

Equations: spatial reduction, PVT (Wang et al., ICCV 2021); deformable attention, Deformable DETR (Zhu et al., ICLR
2021) with one level and one head; sine positions, DETR (Carion et al., ECCV 2020).

Both modules are called with maps ``(B, C, h, w)`` of any size, their positions ``(C, h, w)`` and bool ``(B, h, w)``,
True at padding, and give tokens ``(B, h * w, C)`` row by row. The padded positions are no keys.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PENALTY = 1e4
"""Taken from the logit of a key that should not be seen. Finite: if no key should be seen, all are."""


def tokens_of(maps: Tensor) -> Tensor:
    """``(B, C, h, w)`` -> ``(B, h * w, C)``, row by row."""
    return maps.flatten(2).transpose(1, 2)


def sine_positions(channels: int, height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Sine encoding of the positions of a map, scaled so that the last row and column are at 2 pi.

    The map's own size is the scale, whatever part of it is padding.

    Args:
        channels: a multiple of 4: the first half encodes the row, the second the column.
        height, width: of the map.
        device: of the result.

    Returns:
        float32 ``(channels, height, width)`` in [-1, 1].

    Raises:
        ValueError: ``channels`` is no multiple of 4.
    """
    if channels % 4:
        raise ValueError(f"channels must be a multiple of 4, not {channels}")
    half = channels // 2
    periods = 10000 ** (torch.arange(0, half, 2, device=device, dtype=torch.float32) / half)

    def axis(size: int) -> Tensor:
        angles = torch.arange(1, size + 1, device=device, dtype=torch.float32)[:, None] * (2 * math.pi / size) / periods
        return torch.stack([angles.sin(), angles.cos()], 2).flatten(1).T

    rows = axis(height)[:, :, None].expand(-1, -1, width)
    return torch.cat([rows, axis(width)[:, None].expand(-1, height, -1)])


def attend(query: Tensor, key: Tensor, value: Tensor, penalty: Tensor, dropout: float = 0.0) -> Tensor:
    """softmax(q k' / sqrt(d) - `PENALTY` * penalty) v; sum and softmax in float32 even under autocast.

    Args:
        query: ``(..., N, d)``. key, value: ``(..., M, d)``.
        penalty: broadcast to ``(..., N, M)``: 0 for a key that is seen, 1 for one that is not, 2 for one that stays
            unseen when none has 0.
        dropout: share of the weights set to zero.

    Returns:
        ``(..., N, d)`` of the dtype of ``value``.
    """
    logits = query @ key.transpose(-2, -1)
    # half precision steps by 8 (float16) or 64 (bfloat16) near the penalty, which would swallow the logits
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32)) / math.sqrt(query.shape[-1])
    weights = (logits - PENALTY * penalty).softmax(-1).to(value.dtype)
    return F.dropout(weights, dropout) @ value


class SpatialReductionAttention(nn.Module):
    """Attention with all positions as queries and one key and value for every block of ``ratio`` x ``ratio``.

    A map whose size is no multiple of ``ratio`` is filled up with zeros below and on the right; padding is set to zero
    too, and a block of nothing else is no key. Keys have no bias: a softmax does not notice it.

    Args:
        dim: C, a multiple of ``heads``.
        heads: each of C / heads channels.
        ratio: side of a block.
        dropout: of the attention's weights.

    Raises:
        ValueError: ``dim`` is no multiple of ``heads``.
    """

    def __init__(self, dim: int, heads: int = 8, ratio: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim must be a multiple of heads, not {dim} with {heads} heads")
        self.heads, self.ratio, self.dropout = heads, ratio, dropout
        self.query = nn.Linear(dim, dim)
        self.reduce = nn.Conv2d(dim, dim, ratio, stride=ratio)
        self.norm = nn.LayerNorm(dim)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, maps: Tensor, positions: Tensor, pad: Tensor) -> Tensor:
        """Queries, keys and values are all of maps + positions; see the module's text."""
        maps = maps + positions
        height, width = maps.shape[-2:]
        fill = (0, -width % self.ratio, 0, -height % self.ratio)
        inside = F.pad((~pad)[:, None].to(maps.dtype), fill)
        blocks = self.norm(tokens_of(self.reduce(F.pad(maps, fill) * inside)))
        hidden = 1 - F.max_pool2d(inside, self.ratio).flatten(2)[:, :, None]
        query, key, value = self.query(tokens_of(maps)), self.key(blocks), self.value(blocks)
        dropout = self.dropout if self.training else 0.0
        mixed = attend(self._split(query), self._split(key), self._split(value), hidden, dropout)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def _split(self, tokens: Tensor) -> Tensor:
        """``(B, N, C)`` -> ``(B, heads, N, C / heads)``."""
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)


class DeformableAttention(nn.Module):
    """Each position averages ``points`` sampled positions; where and with what weight, it tells from its own feature.

    Offsets are in pixels of the map, x before y. Sampling is bilinear; beyond the border and at padding lie zeros.
    At first all weights are equal, and the offsets do not depend on the feature: Deformable DETR starts head i of H at
    the angle 2 pi i / H and its point p at the distance p; so the one head here looks 1 to ``points`` pixels to the
    right.

    Args:
        dim: C.
        points: sampled positions of each query.
    """

    def __init__(self, dim: int, points: int = 9) -> None:
        super().__init__()
        self.points = points
        self.offsets = nn.Linear(dim, 2 * points)
        self.weights = nn.Linear(dim, points)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """Set the initial parameters, see the class."""
        for layer in (self.value, self.out):
            nn.init.xavier_uniform_(layer.weight)
        for layer in (self.offsets, self.weights):
            layer.weight.zero_()
        for layer in (self.value, self.out, self.offsets, self.weights):
            layer.bias.zero_()
        self.offsets.bias[::2] = torch.arange(1.0, self.points + 1)

    def forward(self, maps: Tensor, positions: Tensor, pad: Tensor) -> Tensor:
        """Offsets and weights are told from maps + positions, values from maps; see the module's text."""
        height, width = maps.shape[-2:]
        values = self.value(tokens_of(maps)).masked_fill(pad.flatten(1)[:, :, None], 0)
        # half precision would blur the places by a large part of a pixel
        dtype = torch.promote_types(values.dtype, torch.float32)
        values = values.transpose(1, 2).unflatten(2, (height, width)).to(dtype)
        tokens = tokens_of(maps + positions)
        offsets = self.offsets(tokens).to(dtype).unflatten(2, (self.points, 2))
        weights = self.weights(tokens).to(dtype).softmax(-1)
        places = pixel_centres(height, width, offsets)[:, None] + offsets / offsets.new_tensor([width, height])
        samples = F.grid_sample(values, 2 * places - 1, mode="bilinear", padding_mode="zeros", align_corners=False)
        out: Tensor = self.out(torch.einsum("bcnp,bnp->bnc", samples, weights))
        return out


def pixel_centres(height: int, width: int, like: Tensor) -> Tensor:
    """``(height * width, 2)``, x and y in (0, 1) of the centres of a map's pixels, row by row; on ``like``'s device."""
    y = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / height
    x = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / width
    return torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)], 2).flatten(0, 1)
