"""What the last block of a ViT does, so that each patch keeps what is its own; the tower itself is not trained again.

Notation of the equations: tokens x, a class token and other prefix tokens first; q, k, v the projections of LN x, a
head having d channels; W the output projection, with the block's layer scale where it has one; P all that follows.

========= =========================================================== =======================================
value     P(y + FFN y), y = x + W v                                   MaskCLIP, Zhou et al. 2022 (FMWISS's)
sclip     the same with y = x + W ((softmax qq' + softmax kk') v)     SCLIP, Wang et al. 2024
clearclip P(W softmax(qq') v)                                         ClearCLIP, Lan et al. 2024
naclip    P(W softmax(kk' + G) v), G a Gaussian of the distance       NACLIP, Hajimiri et al. 2025
proxy     P(W A v), A from the features of another network            ProxyCLIP, Lan et al. 2024
========= =========================================================== =======================================

qq' and kk' are divided by sqrt d. Shape suffixes: N images, T tokens, p patches, m cells of the other network's grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.errors import SpecError
from wilss.foundation.spec import Block

Grid = tuple[int, int]
NEIGHBOURHOOD = 5.0
"""Standard deviation of NACLIP's Gaussian in patches."""
CONTRAST, CENTRE = 3.0, 1.2
"""ProxyCLIP's gamma and beta: a cosine counts by how far it lies above beta times the image's mean, gamma times."""


class Proxy(NamedTuple):
    """How much each cell of another network's grid takes from the others: ``(N, m, m)``, rows sum to 1."""

    attention: Tensor
    grid: Grid


@dataclass(frozen=True)
class LastBlock:
    """A ViT's last block before it is applied.

    tokens: that enter it, ``(N, T, D)``, the first ``prefix`` of them no patches. heads: queries (0), keys (1) or
    values (2) of all heads, ``(N, heads, T, d)``. output: W. ffn: the second residual branch. read: P of each token
    alone, ``(N, T, D)`` -> ``(N, T, E)``.
    """

    tokens: Tensor
    prefix: int
    grid: Grid
    heads: Callable[[int], Tensor]
    output: Callable[[Tensor], Tensor]
    ffn: Callable[[Tensor], Tensor]
    read: Callable[[Tensor], Tensor]

    def features(self, block: Block, proxy: Proxy | None = None) -> Tensor:
        """Text-aligned features of the patches ``(N, E, h, w)``; for "proxy" on its grid.

        Raises SpecError for "proxy" without one.
        """
        grid = self.grid
        if block == "proxy":
            if proxy is None:
                raise SpecError("the block 'proxy' needs the features of a grouper; name a dino: or features: grouper")
            grid = proxy.grid
            values = _on_grid(_joined(self.heads(2))[:, self.prefix :], self.grid, grid)
            patches = self.read(self.output(proxy.attention.to(values) @ values))
        elif block in ("clearclip", "naclip"):
            patches = self.read(self.output(_joined(self._among_like(block))))
        else:
            patches = self._with_residuals(_joined(self._sclip() if block == "sclip" else self.heads(2)))
        return patches.transpose(1, 2).unflatten(2, grid)

    def keys(self) -> Tensor:
        """The keys of the patches, all heads in one, ``(N, D, h, w)``."""
        return _joined(self.heads(1))[:, self.prefix :].transpose(1, 2).unflatten(2, self.grid)

    def _among_like(self, block: Block) -> Tensor:
        """Attention of the patches to tokens with like queries, or with like keys nearby; ``(N, heads, p, d)``."""
        if block == "clearclip":
            like, near = self.heads(0), None
        else:
            like = self.heads(1)
            near = neighbourhood(self.grid, self.prefix).to(like)
        return _attend(like[:, :, self.prefix :], like, self.heads(2), near)

    def _sclip(self) -> Tensor:
        query, key, value = (self.heads(which) for which in range(3))
        return _attend(query, query, value) + _attend(key, key, value)

    def _with_residuals(self, mixed: Tensor) -> Tensor:
        """Both residual branches of all tokens, then P; patches only."""
        tokens = self.tokens + self.output(mixed)
        return self.read(tokens + self.ffn(tokens))[:, self.prefix :]


def neighbourhood(grid: Grid, prefix: int, spread: float = NEIGHBOURHOOD) -> Tensor:
    """NACLIP's G: exp(-distance^2 / (2 spread^2)) from patch to patch, 0 for prefix tokens; float32 ``(p, T)``."""
    rows, columns = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    places = torch.stack([rows, columns], -1).flatten(0, 1).float()
    apart = (places[:, None] - places[None]).square().sum(-1)
    return F.pad(torch.exp(-apart / (2 * spread**2)), (prefix, 0))


@torch.inference_mode()
def proxy_of(features_NDhw: Tensor) -> Proxy:
    """ProxyCLIP's A from features of another network, in float32, each image by itself.

    S are cosines, M = gamma (S - beta mean S); what is below 0 takes no part, and A = softmax M. The mean is the
    image's, where the released code takes the batch's: a label must not depend on its batch. A cell always takes part
    in itself, so that an image that looks the same everywhere has a softmax too.
    """
    with torch.autocast(features_NDhw.device.type, enabled=False):
        unit = F.normalize(features_NDhw.float().flatten(2), dim=1)
        cosine = unit.transpose(1, 2) @ unit
        logits = CONTRAST * (cosine - CENTRE * cosine.mean((1, 2), keepdim=True))
        own = torch.eye(logits.shape[-1], dtype=torch.bool, device=logits.device)
        attention = logits.masked_fill((logits < 0) & ~own, -torch.inf).softmax(-1)
    return Proxy(attention, (features_NDhw.shape[2], features_NDhw.shape[3]))


def _attend(query: Tensor, key: Tensor, value: Tensor, added: Tensor | None = None) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, attn_mask=added)


def _joined(heads: Tensor) -> Tensor:
    """``(N, heads, T, d)`` -> ``(N, T, heads * d)``."""
    return heads.transpose(1, 2).flatten(2)


def _on_grid(tokens_NpD: Tensor, grid: Grid, wanted: Grid) -> Tensor:
    """Patches on another grid, bilinear."""
    if grid == wanted:
        return tokens_NpD
    maps = tokens_NpD.transpose(1, 2).unflatten(2, grid)
    return F.interpolate(maps, wanted, mode="bilinear", align_corners=False).flatten(2).transpose(1, 2)
