"""The device: tensors get there without making it wait, and what to do when its memory is used up."""

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


def memory_advice(error: RuntimeError) -> str | None:
    """What to do about PyTorch's error of a GPU whose memory is used up; None for any other error."""
    if not isinstance(error, torch.OutOfMemoryError):
        return None
    return (
        f"the memory of the GPU is used up ({str(error).splitlines()[0]}). Take smaller batches, such as --set "
        "step.batch_size=4 (of few-shot: train.batch_size, stage1.batch_size or shapes.train.batch_size), smaller "
        "images, or --device cpu; finished stages are kept"
    )
