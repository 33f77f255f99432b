"""``resnet_scenes``: the small timm ResNet that serves the built-in world as CLIP trunk and as student backbone."""

from __future__ import annotations

from typing import Any

import wilss._torchvision  # noqa: F401

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.resnet import BasicBlock, ResNet

default_cfgs = generate_default_cfgs(
    {
        "resnet_scenes.untrained": {
            "num_classes": 0,
            "input_size": (3, 96, 96),
            "pool_size": (12, 12),
            "mean": (0.5, 0.5, 0.5),
            "std": (0.25, 0.25, 0.25),
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "first_conv": "conv1.0",
            "classifier": "fc",
        }
    }
)


@register_model  # type: ignore[untyped-decorator]
def resnet_scenes(pretrained: bool = False, **kwargs: Any) -> ResNet:
    """Five residual blocks, deep stem, output stride 8 unless told otherwise; 1.9 M parameters."""
    settings: dict[str, Any] = {
        "block": BasicBlock,
        "layers": (1, 1, 2, 1),
        "channels": (48, 96, 160, 256),
        "stem_type": "deep",
        "stem_width": 24,
        "output_stride": 8,
        "zero_init_last": False,  # five blocks only: dead residual branches cost a third of a short training
    }
    settings.update(kwargs)
    return build_model_with_cfg(ResNet, "resnet_scenes", pretrained, **settings)
