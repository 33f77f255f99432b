"""The device: which one, tensors get there without making it wait, and what to do when its memory is used up."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from wilss.errors import SpecError
from wilss.precision import require_full_fp32

AUTO = "auto"
"""CUDA where there is any, else Apple's (MPS), else the CPU."""


def resolve_device(name: str) -> torch.device:
    """The device of a name. Raises SpecError, with those that there are, unless this machine has it."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == AUTO:
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    there = ["cpu", *["cuda"] * cuda, *["mps"] * mps]
    if name not in {*there, *(f"cuda:{k}" for k in range(torch.cuda.device_count()))}:
        raise SpecError(f"device '{name}' is not available here; use {' or '.join(there)} ({AUTO} takes the last)")
    return torch.device(name)


def require_device(name: str) -> torch.device:
    """The device of a name, set to compute in full fp32. Raises SpecError unless this machine has it."""
    device = resolve_device(name)
    require_full_fp32()
    return device


def require_devices(name: str, count: int) -> tuple[str, ...]:
    """Names of the devices that share a training. Raises SpecError unless this machine has so many.

    Args:
        name: of the kind, "cuda" or "cpu", or of the one device where ``count`` is 1.
    """
    device = resolve_device(name)
    if count == 1:
        return (str(device),)
    if device.type == "mps" or device.index is not None:
        which = f"'{name}' is one device" if device.index is not None else "Apple's GPU is one device"
        raise SpecError(f"{which}, so {count} cannot share a training; take --devices 1, or --device cuda or cpu")
    there = torch.cuda.device_count() if device.type == "cuda" else os.cpu_count() or 1
    if count > there:
        kind = ("GPU" if device.type == "cuda" else "processor core") + "s" * (there != 1)
        raise SpecError(f"{count} devices were asked for, and here are {there} {kind}; take --devices {there} or fewer")
    return tuple(f"cuda:{k}" for k in range(count)) if device.type == "cuda" else ("cpu",) * count


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor on ``device``; a CUDA device goes on computing meanwhile.

    From memory that is not pinned the copy would first wait for everything that the device has still to do.
    """
    if device.type == "cuda" and values.device.type == "cpu":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)


def double(values: Tensor) -> Tensor:
    """As float64; on the CPU where the device has none (MPS)."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def memory_advice(error: RuntimeError) -> str | None:
    """What to do about PyTorch's error of a GPU whose memory is used up; None for any other error."""
    if not isinstance(error, torch.OutOfMemoryError) and "MPS backend out of memory" not in str(error):
        return None
    return (
        f"the memory of the GPU is used up ({str(error).splitlines()[0]}). Take smaller batches, such as --set "
        "step.batch_size=4 (of few-shot: train.batch_size, stage1.batch_size or shapes.train.batch_size), smaller "
        "images, or --device cpu; finished stages are kept"
    )
