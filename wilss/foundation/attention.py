"""Self-supervised ViT as grouper: last-layer self-attention of the seeds (DINO, Caron et al. 2021; FMWISS sec. 3.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import wilss._torchvision  # noqa: F401

import torch
import torch.nn.functional as F
from timm.layers import apply_rot_embed_cat
from timm.models.eva import Eva
from torch import Tensor, nn

from wilss.foundation.passes import KeptPass
from wilss.foundation.preprocess import cells, prepare, prepared_size
from wilss.precision import autocast
from wilss.section import Precision

ROWS = 128
"""Seeds whose rows of all heads are in memory at once."""


@dataclass(frozen=True)
class AttentionGrouper:
    """Seed rows of the last block's self-attention of a timm ViT.

    Only the queries of the seeds are formed: the cost per image is (heads, S, h * w), in memory never more than
    `ROWS` seeds at a time.

    Args:
        vit: a timm ``VisionTransformer`` (DINO, DINOv2 with and without registers) or ``Eva`` (DINOv3) that accepts any
            input size (``dynamic_img_size=True``).
        scale: factor on the input size before the model sees it; 2 doubles the grid.
        temperature: divides the logits; 1 is the model's own attention.
        source: "attention" is query times key as in the paper; "keys" takes the cosine of the keys of all heads (LOST,
            Simeoni et al. 2021), which groups better where attention has not become local.
        n_heads: average only this many heads, for every seed those with the lowest entropy; None averages all.
        precision: of the trunk; "auto" takes bf16 where the hardware has it.
    """

    vit: Any
    digest: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 1.0
    temperature: float = 1.0
    source: Literal["attention", "keys"] = "attention"
    n_heads: int | None = None
    precision: Precision = "fp32"
    kept: KeptPass[tuple[Tensor, Tensor | None]] = field(default_factory=KeptPass, compare=False, repr=False)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """See `wilss.foundation.contracts.Grouper.grid`."""
        patch_h, patch_w = self.vit.patch_embed.patch_size
        size = prepared_size(height, width, self.scale, patch_h)
        return size[0] // patch_h, size[1] // patch_w

    @torch.inference_mode()
    def affinity(self, images_N3HW: Tensor, seeds_NS2: Tensor) -> Tensor:
        """See `wilss.foundation.contracts.Grouper.affinity`."""
        h, w = self.grid(images_N3HW.shape[-2], images_N3HW.shape[-1])
        tokens, rope = self.kept.take(images_N3HW) or self._before_last_block(images_N3HW)
        rows = self._seed_rows(tokens.float(), rope, cells(seeds_NS2, h, w))
        total = rows.sum(-1, keepdim=True).clamp(min=1e-12)
        return (rows / total).unflatten(-1, (h, w))

    @torch.inference_mode()
    def features(self, images_N3HW: Tensor) -> Tensor:
        """See `wilss.foundation.contracts.Featured.features`: the normed patch tokens."""
        grid = self.grid(images_N3HW.shape[-2], images_N3HW.shape[-1])
        found = self.kept.take(images_N3HW) or self._before_last_block(images_N3HW)
        tokens, rope = self.kept.keep(images_N3HW, found)
        with autocast(self.precision, tokens.device):
            last = self.vit.blocks[-1]
            patches = self.vit.norm(last(tokens) if rope is None else last(tokens, rope=rope))
        return patches[:, self.vit.num_prefix_tokens :].float().transpose(1, 2).unflatten(2, grid)

    def _before_last_block(self, images_N3HW: Tensor) -> tuple[Tensor, Tensor | None]:
        images = prepare(images_N3HW, self.mean, self.std, self.scale, self.vit.patch_embed.patch_size[0])
        with autocast(self.precision, images.device):
            return before_last_block(self.vit, images)

    def _seed_rows(self, tokens: Tensor, rope: Tensor | None, cells_NS: Tensor) -> Tensor:
        """Softmax rows over all tokens, patch columns only, float32 ``(N, S, h * w)``."""
        block = self.vit.blocks[-1]
        prefix = self.vit.num_prefix_tokens
        normed = block.norm1(tokens)
        key = project_heads(block.attn, normed, 1)
        if self.source == "keys":
            unit = F.normalize(key[:, :, prefix:].transpose(1, 2).flatten(2), dim=-1)
            picked = unit.gather(1, cells_NS[..., None].expand(-1, -1, unit.shape[-1]))
            return (picked @ unit.transpose(1, 2) / self.temperature).softmax(-1)
        index = (cells_NS + prefix)[..., None].expand(-1, -1, normed.shape[-1])
        query = project_heads(block.attn, normed.gather(1, index), 0)
        if rope is not None:
            key, query = _rotated(block.attn, key, query, rope, cells_NS, prefix)
        factor = block.attn.scale / self.temperature
        return torch.cat([self._heads(part * factor, key, prefix) for part in query.split(ROWS, 2)], 1)

    def _heads(self, query: Tensor, key: Tensor, prefix: int) -> Tensor:
        rows = (query @ key.transpose(-2, -1)).softmax(-1)[..., prefix:]
        return rows.mean(1) if self.n_heads is None else _sharpest(rows, self.n_heads)


def before_last_block(vit: Any, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Tokens that enter the last block, ``(N, T, D)``, and that block's rotary embedding if it has one."""
    placed = vit._pos_embed(vit.patch_embed(images))
    if not isinstance(vit, Eva):
        tokens = vit.norm_pre(vit.patch_drop(placed))
        for block in vit.blocks[:-1]:
            tokens = block(tokens)
        return tokens, None
    tokens, rope = placed
    tokens = vit.norm_pre(tokens)
    mixed = getattr(vit, "rope_mixed", False) and rope is not None  # then each block has its own embedding
    for number, block in enumerate(vit.blocks[:-1]):
        tokens = block(tokens, rope=rope[number] if mixed else rope)
    return tokens, rope[len(vit.blocks) - 1] if mixed else rope


def project_heads(attn: Any, tokens: Tensor, which: int) -> Tensor:
    """Queries (0), keys (1) or values (2) of all heads of a timm attention, ``(N, heads, T, d)``; only these."""
    norm = (attn.q_norm, attn.k_norm, nn.Identity())[which]
    if attn.qkv is None:
        projected = (attn.q_proj, attn.k_proj, attn.v_proj)[which](tokens)
    else:
        bias = attn.qkv.bias
        if bias is None and getattr(attn, "q_bias", None) is not None:
            bias = torch.cat([attn.q_bias, attn.k_bias, attn.v_bias])
        part = slice(which * attn.qkv.out_features // 3, (which + 1) * attn.qkv.out_features // 3)
        projected = F.linear(tokens, attn.qkv.weight[part], None if bias is None else bias[part])
    return norm(projected.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2))


def _rotated(
    attn: Any, key: Tensor, query: Tensor, rope: Tensor, cells_NS: Tensor, prefix: int
) -> tuple[Tensor, Tensor]:
    """Rotate the patch keys by their position and the queries by that of their seed."""
    half = getattr(attn, "rotate_half", False)
    patches = apply_rot_embed_cat(key[:, :, prefix:], rope, half=half)
    at_seeds = rope[cells_NS][:, None] if rope.ndim == 2 else rope[:, cells_NS].transpose(0, 1)
    return torch.cat([key[:, :, :prefix], patches], 2), apply_rot_embed_cat(query, at_seeds, half=half)


def _sharpest(rows_NhSp: Tensor, n_heads: int) -> Tensor:
    """Mean of the heads with the lowest entropy over the patches, chosen for every seed; ``(N, S, hw)``."""
    share = rows_NhSp / rows_NhSp.sum(-1, keepdim=True).clamp(min=1e-12)
    entropy = -torch.special.xlogy(share, share).sum(-1)  # (N, heads, S)
    best = entropy.argsort(1)[:, :n_heads]
    return share.gather(1, best[..., None].expand(-1, -1, -1, share.shape[-1])).mean(1)
