"""Moving tensors to the device without making it wait."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor on ``device``; a CUDA device goes on computing meanwhile.

    From memory that is not pinned the copy would first wait for everything that the device has still to do.
    """
    if device.type == "cuda" and values.device.type == "cpu":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)
