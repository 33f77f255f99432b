"""Text-aligned features of every grid cell, for each kind of open_clip's image towers (MaskCLIP, Zhou et al. 2022).

This is the only file that touches open_clip's private names.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import wilss._torchvision  # noqa: F401

import open_clip
import torch
import torch.nn.functional as F
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from wilss._logs import quiet_logs
from wilss.errors import SpecError


class Dense(NamedTuple):
    """Text-aligned features ``(N, D, h, w)`` and, where the tower has attention, its last keys ``(N, K, h, w)``."""

    features: Tensor
    keys: Tensor | None


def dense_features(visual: nn.Module, images: Tensor) -> Dense:
    """Text-aligned features of every grid cell for any of open_clip's image towers.

    Raises SpecError for a tower of another kind.
    """
    if isinstance(visual, TimmModel):
        return _timm_tower(visual, images)
    if isinstance(visual, VisionTransformer) and visual.attn_pool is None:  # CoCa pools by queries of its own
        return _value_path(visual, images)
    if isinstance(visual, ModifiedResNet):
        return _attention_pool_as_convolution(visual, images)
    raise SpecError(f"no dense path for the image tower {type(visual).__name__}; use a plain ViT, ResNet or timm tower")


def _timm_tower(visual: TimmModel, images: Tensor) -> Dense:
    """The trunk's own pooling and head, applied to every cell alone: attention over one token returns its value."""
    trunk, features = visual.trunk, visual.trunk.forward_features(images)
    if hasattr(visual.head, "pool"):
        raise SpecError("open_clip's abs_attn and rot_attn pools have no dense path; use a tower with another pooling")
    if features.ndim == 3:  # ViT trunk: drop prefix tokens, restore the grid
        step = trunk.patch_embed.feat_ratio(as_scalar=True)
        grid = (images.shape[-2] // step, images.shape[-1] // step)
        cells = features[:, trunk.num_prefix_tokens :].flatten(0, 1)[:, None]
        pooled = cells[:, 0] if trunk.attn_pool is None else trunk.attn_pool(cells)
        pooled = trunk.head(trunk.fc_norm(pooled))
    else:
        grid = (features.shape[-2], features.shape[-1])
        pooled = trunk.forward_head(features.permute(0, 2, 3, 1).flatten(0, 2)[..., None, None])
    projected = visual.head(pooled).unflatten(0, (len(images), *grid))
    return Dense(projected.permute(0, 3, 1, 2), None)


def _value_path(visual: VisionTransformer, images: Tensor) -> Dense:
    """MaskCLIP: in the last block each token keeps its own value instead of attending to others."""
    x = visual.conv1(images)
    h, w = x.shape[-2:]
    x = torch.cat([visual.class_embedding.expand(len(x), 1, -1).to(x.dtype), x.flatten(2).transpose(1, 2)], 1)
    x = visual.patch_dropout(x + _resized_positions(visual.positional_embedding, visual.grid_size, (h, w)))
    x = visual.ln_pre(x)
    for block in visual.transformer.resblocks[:-1]:
        x = block(x)
    last = visual.transformer.resblocks[-1]
    normed = last.ln_1(x)
    weights, biases = last.attn.in_proj_weight.chunk(3), last.attn.in_proj_bias.chunk(3)
    key, value = (F.linear(normed, weights[part], biases[part]) for part in (1, 2))
    x = x + last.ls_1(last.attn.out_proj(value))
    x = visual.ln_post(x + last.ls_2(last.mlp(last.ln_2(x))))
    features, keys = ((tokens[:, 1:].transpose(1, 2).unflatten(2, (h, w))) for tokens in (x @ visual.proj, key))
    return Dense(features, keys)


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


def new_scenes_clip() -> Any:
    """An untrained ``clip:scenes``, random weights on purpose."""
    register_scenes_config()
    with quiet_logs():  # open_clip warns of random weights; the callers train or replace them
        return open_clip.create_model("clip_scenes", pretrained=None, load_weights=False)


@lru_cache(maxsize=1)
def register_scenes_config() -> None:
    """Make ``clip_scenes`` known to open_clip, which reads it from the JSON file beside this module."""
    import wilss.nets.scenes_resnet  # noqa: F401  (registers the trunk with timm)

    open_clip.add_model_config(Path(__file__).parent / "clip_scenes.json")
