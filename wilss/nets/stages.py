"""Stages of a backbone: which modules make its last feature maps, and training those alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import nn

from wilss.errors import SpecError


def last_stages(backbone: nn.Module, count: int) -> tuple[str, ...]:
    """Modules of a timm ``features_only`` backbone that make its last ``count`` feature maps.

    Of a ResNet the last three are layer2, layer3 and layer4, of a MobileNet or EfficientNet some of its blocks. A plain
    ViT has no stages; its blocks count as four of equal length. Raises SpecError for more stages than there are.
    """
    if isinstance(blocks := getattr(getattr(backbone, "model", None), "blocks", None), nn.Sequential):
        if not 0 < count <= 4:
            raise SpecError(f"cannot take the last {count} of the four quarters of a ViT's blocks")
        return tuple(f"model.blocks.{k}" for k in range(len(blocks) * (4 - count) // 4, len(blocks)))
    ends = [str(name) for name in cast(Any, backbone).feature_info.module_name()]
    units = [
        f"{name}.{inner}" if name == "blocks" else name
        for name, child in backbone.named_children()
        for inner, _ in (child.named_children() if name == "blocks" else [("", child)])
    ]
    places = [_place(end, units) for end in ends]
    if not 0 < count < len(ends) or None in places:
        raise SpecError(
            f"cannot take the last {count} of the stages {', '.join(ends)} of this backbone; choose another"
        )
    start, stop = cast(int, places[-1 - count]) + 1, cast(int, places[-1]) + 1
    return tuple(units[start:stop])


def _place(end: str, units: Sequence[str]) -> int | None:
    """Position of the module that makes a feature map; timm writes "stages.1" for a child called "stages_1"."""
    same = (k for k, unit in enumerate(units) if f"{end}.".startswith((f"{unit}.", f"{unit.replace('_', '.')}.")))
    return next(same, None)


def tune_last_stages(backbone: nn.Module, count: int) -> None:
    """Let only the last ``count`` stages of a backbone have gradients, so that none is computed before them.

    Weights before them stay; statistics of BatchNorm follow the data there too, as in any training.
    """
    backbone.requires_grad_(False)
    for name in last_stages(backbone, count):
        backbone.get_submodule(name).requires_grad_(True)
