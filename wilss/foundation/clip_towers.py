"""Text-aligned features of every grid cell, for each kind of open_clip's image towers (MaskCLIP, Zhou et al. 2022).

This is the only file that touches open_clip's private names.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import wilss._torchvision  # noqa: F401

import open_clip
import torch
import torch.nn.functional as F
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from timm.layers import Attention
from timm.models import vision_transformer
from torch import Tensor, nn

from wilss._logs import quiet_logs
from wilss.errors import SpecError
from wilss.foundation.attention import before_last_block, project_heads
from wilss.foundation.last_block import Grid, LastBlock, Proxy
from wilss.foundation.spec import Block

Tower = Literal["resnet", "vit"]
SCENES_MODELS: dict[Tower, str] = {"resnet": "clip_scenes", "vit": "clip_scenes_vit"}
"""Names of the built-in world's CLIPs in open_clip, by image tower."""


class Dense(NamedTuple):
    """Text-aligned features ``(N, D, h, w)`` and, where the tower has attention, its last keys ``(N, K, h', w')``.

    The two grids differ where the features are on that of a proxy.
    """

    features: Tensor
    keys: Tensor | None


def dense_features(visual: nn.Module, images: Tensor, block: Block = "auto", proxy: Proxy | None = None) -> Dense:
    """Text-aligned features of every grid cell for any of open_clip's image towers.

    Args:
        block: of a ViT, see `wilss.foundation.last_block`. "auto" is the value path for open_clip's own ViT and the
            pooling and head of a timm trunk, on every cell as it leaves the trunk. proxy: for the block "proxy".

    Raises SpecError for a tower of another kind, or a block that it cannot do.
    """
    require_block(visual, block)
    if isinstance(visual, TimmModel) and not (block != "auto" and _plain_vit(visual)):
        return _timm_tower(visual, images)
    if isinstance(visual, ModifiedResNet):
        return _attention_pool_as_convolution(visual, images)
    last = _timm_block(visual, images) if isinstance(visual, TimmModel) else _native_block(visual, images)
    return Dense(last.features("value" if block == "auto" else block, proxy), last.keys())


def require_block(visual: nn.Module, block: Block) -> None:
    """Raise SpecError for an image tower without a dense path, or without a last block that can be changed so."""
    native = isinstance(visual, VisionTransformer) and visual.attn_pool is None  # CoCa pools by queries of its own
    if not native and not isinstance(visual, TimmModel | ModifiedResNet):
        name = type(visual).__name__
        raise SpecError(f"no dense path for the image tower {name}; use a plain ViT, ResNet or timm tower")
    if block == "auto" or (native and _has_plain_block(visual)):
        return
    if isinstance(visual, ModifiedResNet) and block == "value":  # what its pool is taken apart into
        return
    if not (isinstance(visual, TimmModel) and _plain_vit(visual)):
        name = type(visual.trunk if isinstance(visual, TimmModel) else visual).__name__
        raise SpecError(
            f"foundation.block={block} changes the last attention of a plain ViT, and this CLIP's image tower is a "
            f"{name} without one; leave the block out or take a model such as clip:ViT-B-16/openai"
        )


def _has_plain_block(visual: Any) -> bool:
    return isinstance(visual.transformer.resblocks[-1], ResidualAttentionBlock)


def _plain_vit(visual: TimmModel) -> bool:
    """Whether a timm trunk is a ViT whose last block is the usual one."""
    trunk = visual.trunk
    if not isinstance(trunk, vision_transformer.VisionTransformer):
        return False
    last = trunk.blocks[-1]
    usual = type(last) is vision_transformer.Block and type(last.attn) is Attention
    return usual and getattr(last.attn, "gate", None) is None


def _timm_block(visual: TimmModel, images: Tensor) -> LastBlock:
    trunk = visual.trunk
    tokens, _ = before_last_block(trunk, images)
    last, step = trunk.blocks[-1], trunk.patch_embed.feat_ratio(as_scalar=True)
    normed = last.norm1(tokens)
    return LastBlock(
        tokens,
        trunk.num_prefix_tokens,
        (images.shape[-2] // step, images.shape[-1] // step),
        heads=lambda which: project_heads(last.attn, normed, which),
        output=lambda mixed: last.ls1(last.attn.proj(last.attn.norm(mixed))),
        ffn=lambda x: last.ls2(last.mlp(last.norm2(x))),
        read=lambda x: visual.head(_pooled_alone(trunk, trunk.norm(x).flatten(0, 1))).unflatten(0, x.shape[:2]),
    )


def _pooled_alone(trunk: Any, cells: Tensor) -> Tensor:
    """A ViT's pooling and head on single tokens ``(cells, D)``: attention over one token returns its value."""
    pooled = cells if trunk.attn_pool is None else trunk.attn_pool(cells[:, None])
    return trunk.head(trunk.fc_norm(pooled))


def _timm_tower(visual: TimmModel, images: Tensor) -> Dense:
    """The trunk's own pooling and head, applied to every cell alone."""
    trunk, features = visual.trunk, visual.trunk.forward_features(images)
    if hasattr(visual.head, "pool"):
        raise SpecError("open_clip's abs_attn and rot_attn pools have no dense path; use a tower with another pooling")
    if features.ndim == 3:  # ViT trunk: drop prefix tokens, restore the grid
        step = trunk.patch_embed.feat_ratio(as_scalar=True)
        grid = (images.shape[-2] // step, images.shape[-1] // step)
        pooled = _pooled_alone(trunk, features[:, trunk.num_prefix_tokens :].flatten(0, 1))
    else:
        grid = (features.shape[-2], features.shape[-1])
        pooled = trunk.forward_head(features.permute(0, 2, 3, 1).flatten(0, 2)[..., None, None])
    projected = visual.head(pooled).unflatten(0, (len(images), *grid))
    return Dense(projected.permute(0, 3, 1, 2), None)


def _embedded(visual: VisionTransformer, images: Tensor) -> tuple[Tensor, Grid]:
    """Tokens that enter the first block, and their grid."""
    x = visual.conv1(images)
    grid = (x.shape[-2], x.shape[-1])
    x = torch.cat([visual.class_embedding.expand(len(x), 1, -1).to(x.dtype), x.flatten(2).transpose(1, 2)], 1)
    x = visual.patch_dropout(x + _resized_positions(visual.positional_embedding, visual.grid_size, grid))
    return visual.ln_pre(x), grid


def _native_block(visual: VisionTransformer, images: Tensor) -> LastBlock:
    x, grid = _embedded(visual, images)
    for block in visual.transformer.resblocks[:-1]:
        x = block(x)
    last = visual.transformer.resblocks[-1]
    normed, attn = last.ln_1(x), last.attn
    weights, biases = attn.in_proj_weight.chunk(3), attn.in_proj_bias.chunk(3)

    def heads(which: int) -> Tensor:
        projected = F.linear(normed, weights[which], biases[which])
        return projected.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2)

    return LastBlock(
        x,
        1,
        grid,
        heads,
        output=lambda mixed: last.ls_1(attn.out_proj(mixed)),
        ffn=lambda tokens: last.ls_2(last.mlp(last.ln_2(tokens))),
        read=lambda tokens: visual.ln_post(tokens) @ visual.proj,
    )


def _resized_positions(embedding: Tensor, grid: tuple[int, int], wanted: tuple[int, int]) -> Tensor:
    """Position embeddings ``(1 + h * w, D)`` for another grid, bicubic; the class token's stays."""
    if tuple(grid) == wanted:
        return embedding
    square = embedding[1:].unflatten(0, grid).permute(2, 0, 1)[None]
    resized = F.interpolate(square, wanted, mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([embedding[:1], resized[0].flatten(1).T])


def _attention_pool_as_convolution(visual: ModifiedResNet, images: Tensor) -> Dense:
    """Value and output projections of the attention pool, applied to every cell alone."""
    x = visual.stem(images)
    for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        x = layer(x)
    pool = visual.attnpool
    cells = x.permute(0, 2, 3, 1)
    value = F.linear(cells, pool.v_proj.weight, pool.v_proj.bias)
    features = F.linear(value, pool.c_proj.weight, pool.c_proj.bias).permute(0, 3, 1, 2)
    return Dense(features, F.linear(cells, pool.k_proj.weight, pool.k_proj.bias).permute(0, 3, 1, 2))


def new_scenes_clip(tower: Tower = "resnet") -> Any:
    """An untrained ``clip:scenes``, random weights on purpose.

    Args:
        tower: of the images: a ResNet, or a ViT on its first stages.
    """
    register_scenes_config()
    with quiet_logs():  # open_clip warns of random weights; the callers train or replace them
        return open_clip.create_model(SCENES_MODELS[tower], pretrained=None, load_weights=False)


@lru_cache(maxsize=1)
def register_scenes_config() -> None:
    """Make `SCENES_MODELS` known to open_clip, which reads them from the JSON files beside this module."""
    import wilss.nets.scenes_vit  # noqa: F401  (registers both trunks with timm)

    for name in SCENES_MODELS.values():
        open_clip.add_model_config(Path(__file__).parent / f"{name}.json")
