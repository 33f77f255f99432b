"""Small timm ViTs of the built-in world: ``vit_scenes``, trained without labels, and ``vit_scenes_hybrid`` of CLIP."""

from __future__ import annotations

from functools import partial
from typing import Any

import wilss._torchvision

import timm
from timm.layers import HybridEmbed
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer

import wilss.nets.scenes_resnet  # noqa: F401  (registers the trunk with timm)

UNTRAINED: dict[str, Any] = {
    "num_classes": 0,
    "input_size": (3, 96, 96),
    "mean": (0.5, 0.5, 0.5),
    "std": (0.25, 0.25, 0.25),
    "interpolation": "bilinear",
    "crop_pct": 1.0,
    "classifier": "head",
}
default_cfgs = generate_default_cfgs(
    {
        "vit_scenes.untrained": {**UNTRAINED, "first_conv": "patch_embed.proj"},
        "vit_scenes_hybrid.untrained": {**UNTRAINED, "first_conv": "patch_embed.backbone.conv1.0"},
    }
)


@register_model  # type: ignore[untyped-decorator]
def vit_scenes(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Five blocks of width 128, patch 8, 96 px, any other size by resized position embeddings; 1.0 M parameters."""
    settings: dict[str, Any] = {
        "img_size": 96,
        "patch_size": 8,
        "embed_dim": 128,
        "depth": 5,
        "num_heads": 4,
        "num_classes": 0,
        "dynamic_img_size": True,
    }
    settings.update(kwargs)
    return build_model_with_cfg(VisionTransformer, "vit_scenes", pretrained, **settings)


@register_model  # type: ignore[untyped-decorator]
def vit_scenes_hybrid(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Four blocks of width 96 on the first two stages of ``resnet_scenes``, stride 8; 0.7 M parameters.

    A ViT on convolutions, as ViT-hybrid of Dosovitskiy et al. (2021): of plain patches a model this small had hardly
    begun to learn outlines after 400 steps.
    """
    stem = timm.create_model("resnet_scenes", features_only=True, out_indices=(2,))
    settings: dict[str, Any] = {
        "img_size": 96,
        "patch_size": 1,
        "embed_dim": 96,
        "depth": 4,
        "num_heads": 3,
        "num_classes": 0,
        "dynamic_img_size": True,
        "embed_layer": partial(HybridEmbed, backbone=stem),
    }
    settings.update(kwargs)
    return build_model_with_cfg(VisionTransformer, "vit_scenes_hybrid", pretrained, **settings)
