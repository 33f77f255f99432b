"""Blocks of a timm backbone as the released codes have them; no weight changes."""

from __future__ import annotations

from typing import Any, cast

from torch import nn

from wilss.errors import SpecError

SLOPE = 0.01
"""Of leaky ReLU, in InPlace-ABN and here."""


def dilate_first_blocks(body: nn.Module) -> None:
    """Let the first block of the last two stages of a bottleneck ResNet dilate as the others of its stage do.

    Raises SpecError for another network, and where nothing is dilated, so that the setting would have no effect.
    """
    changed = False
    for stage in (cast(Any, getattr(body, name, ())) for name in ("layer3", "layer4")):
        if len(stage) < 2 or not hasattr(stage[0], "conv3"):
            raise SpecError("dilation 'every' is for bottleneck ResNets; set it to 'first-plain'")
        first, rate = stage[0].conv2, stage[1].conv2.dilation
        changed |= first.dilation != rate
        first.dilation = first.padding = rate
    if not changed:
        raise SpecError("dilation 'every' changes nothing at this output stride; set it to 'first-plain'")


def leak(body: nn.Module) -> None:
    """Put leaky ReLU in the place of every ReLU. Raises SpecError for a network without any."""
    found = [
        (parent, name, child)
        for parent in body.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.ReLU)
    ]
    if not found:
        raise SpecError("activation 'leaky_relu' is for networks with ReLU, such as ResNets; set it to 'relu'")
    for parent, name, child in found:
        setattr(parent, name, nn.LeakyReLU(SLOPE, child.inplace))
