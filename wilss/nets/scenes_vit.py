"""``vit_scenes``: the small timm ViT that is trained without labels on the built-in world."""

from __future__ import annotations

from typing import Any

import wilss._torchvision  # noqa: F401

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer

default_cfgs = generate_default_cfgs(
    {
        "vit_scenes.untrained": {
            "num_classes": 0,
            "input_size": (3, 96, 96),
            "mean": (0.5, 0.5, 0.5),
            "std": (0.25, 0.25, 0.25),
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        }
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
