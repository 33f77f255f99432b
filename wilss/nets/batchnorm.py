"""BatchNorm that stays as it was."""

from __future__ import annotations

from torch import nn


def freeze_batchnorm(module: nn.Module) -> None:
    """Put every BatchNorm in evaluation mode with fixed affine parameters."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval()
            layer.requires_grad_(False)
