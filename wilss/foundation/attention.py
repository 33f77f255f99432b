"""Self-supervised ViT as grouper: last-layer self-attention of the seeds (DINO, Caron et al. 2021; FMWISS sec. 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from wilss.foundation.preprocess import cells, prepare


@dataclass(frozen=True)
class AttentionGrouper:
    """Seed rows of the last block's self-attention of a timm ViT, averaged over heads.

    Only the queries of the seeds are formed: the cost per image is (heads, S, h * w), never (heads, hw, hw).

    Args:
        vit: a timm ViT that accepts any input size (``dynamic_img_size=True``).
        scale: factor on the input size before the model sees it; 2 doubles the grid.
        temperature: divides the logits; 1 is the model's own attention.
        source: "attention" is query times key as in the paper; "keys" takes the cosine of the keys of all heads (LOST,
            Simeoni et al. 2021), which groups better where attention has not become local.
    """

    vit: VisionTransformer
    digest: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 1.0
    temperature: float = 1.0
    source: Literal["attention", "keys"] = "attention"

    @torch.inference_mode()
    def affinity(self, images_N3HW: Tensor, seeds_NS2: Tensor) -> Tensor:
        """See `wilss.foundation.contracts.Grouper.affinity`."""
        patch_h, patch_w = self.vit.patch_embed.patch_size
        images = prepare(images_N3HW, self.mean, self.std, self.scale, patch_h)
        h, w = images.shape[-2] // patch_h, images.shape[-1] // patch_w
        tokens = self._before_last_block(images)
        attention = self._seed_rows(tokens, cells(seeds_NS2, h, w))
        total = attention.sum(-1, keepdim=True).clamp(min=1e-12)
        return (attention / total).unflatten(-1, (h, w))

    def _before_last_block(self, images: Tensor) -> Tensor:
        tokens = self.vit.norm_pre(self.vit.patch_drop(self.vit._pos_embed(self.vit.patch_embed(images))))
        for block in self.vit.blocks[:-1]:
            tokens = block(tokens)
        return tokens

    def _seed_rows(self, tokens: Tensor, cells_NS: Tensor) -> Tensor:
        """Softmax rows over all tokens, patch columns only, float32 ``(N, S, h * w)``."""
        block = self.vit.blocks[-1]
        attn = block.attn
        n, length, _ = tokens.shape
        qkv = attn.qkv(block.norm1(tokens)).view(n, length, 3, attn.num_heads, -1)
        query, key = (part.transpose(1, 2) for part in qkv.unbind(2)[:2])  # (N, heads, T, d)
        query, key = attn.q_norm(query), attn.k_norm(key)
        prefix = self.vit.num_prefix_tokens
        if self.source == "keys":
            unit = F.normalize(key[:, :, prefix:].transpose(1, 2).flatten(2).float(), dim=-1)
            picked = unit.gather(1, cells_NS[..., None].expand(-1, -1, unit.shape[-1]))
            return (picked @ unit.transpose(1, 2) / self.temperature).softmax(-1)
        index = (cells_NS + prefix)[:, None, :, None].expand(-1, attn.num_heads, -1, query.shape[-1])
        logits = (query.gather(2, index) * attn.scale) @ key.transpose(-2, -1)
        rows = (logits.float() / self.temperature).softmax(-1)
        return rows[..., prefix:].mean(1)
