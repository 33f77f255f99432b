"""Whether a stored student can be used: it is loaded, and segments one image."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from wilss.damage import damaged
from wilss.device import require_device
from wilss.models.card import WEIGHTS
from wilss.models.model import Model

SIDE = 64
"""Pixels of the image at most; its height and width differ, as those of photographs do."""


def smoke(folder: Path, device: str | torch.device = "auto") -> None:
    """Load a student, whose files are held against their checksums, and let it segment a built image.

    Raises DamagedArtefactError or FormatError for a model that cannot be loaded or computes what is no number,
    ArtefactNotFoundError for a folder without one, SpecError for a device that this machine lacks.
    """
    require_sight(Model.open(folder, require_device(str(device))), folder)


@torch.inference_mode()
def require_sight(model: Model, folder: Path) -> None:
    """Let a loaded student segment a built image. Raises DamagedArtefactError for what is no number, or no class.

    Args:
        folder: that it was loaded from.
    """
    image = built_image(min(SIDE, model.card.input.canvas))
    logits = model.network(image[None].to(model.device).float() / 255)
    if not bool(logits.isfinite().all()):
        raise damaged(folder, WEIGHTS, "what it computes of an image is no finite number")
    found = model.predict(image)
    odd = set(found.unique().tolist()) - model.classes.keys()
    if found.shape != image.shape[1:] or odd:
        raise damaged(folder, WEIGHTS, f"of an image it makes classes that its card lacks: {sorted(odd)[:3]}")


def built_image(side: int) -> Tensor:
    """Slopes of three colours with a bright square, uint8 ``(3, H, W)``, three quarters as high as wide."""
    height = max(side * 3 // 4, 1)
    down, right = torch.linspace(0, 255, height)[:, None], torch.linspace(0, 255, side)[None]
    image = torch.stack([down.expand(height, side), right.expand(height, side), (down + right) / 2])
    image[:, height // 4 : height // 2, side // 4 : side // 2] = 255
    return image.to(torch.uint8)
