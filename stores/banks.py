"""Memory banks on disk: one safetensors file of crops and a JSON index."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from wilss.architecture import MOST_CLASSES
from wilss.errors import FormatError
from wilss.layout import AGAIN
from wilss.learn.memory import MemoryBank
from wilss.outside import checked, read_json

DTYPES = {"images": torch.uint8, "masks": torch.bool, "sizes": torch.int64, "channels": torch.int64}


class BankIndex(BaseModel):
    """The images that the instances were cut from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: tuple[str, ...]


def save_bank(bank: MemoryBank, folder: Path) -> None:
    """Write a bank into a staging folder."""
    tensors = {"images": bank.images, "masks": bank.masks, "sizes": bank.sizes, "channels": bank.channels}
    save_file(tensors, folder / "bank.safetensors")
    (folder / "index.json").write_text(json.dumps({"ids": bank.ids}))


def load_bank(folder: Path) -> MemoryBank:
    """Read a bank. Raises FormatError for one that is damaged."""
    path = folder / "index.json"
    ids = checked(BankIndex, read_json(path, AGAIN), path, AGAIN).ids
    path = folder / "bank.safetensors"
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise FormatError(f"'{path}' is damaged ({error}); {AGAIN}") from error
    if problem := _problem(tensors, len(ids)):
        raise FormatError(f"'{path}' is damaged ({problem}); {AGAIN}")
    return MemoryBank(**tensors, ids=ids)


def _problem(tensors: dict[str, Tensor], n: int) -> str:
    """What is wrong with the tensors of ``n`` instances, see `MemoryBank`; "" when nothing is."""
    if {name: value.dtype for name, value in tensors.items()} != DTYPES:
        return f"it holds {', '.join(sorted(tensors)) or 'nothing'}; expected are {', '.join(sorted(DTYPES))}"
    images, sizes, channels = tensors["images"], tensors["sizes"], tensors["channels"]
    side = images.shape[-1] if images.ndim else 0
    shapes = {"images": (n, 3, side, side), "masks": (n, side, side), "sizes": (n, 2), "channels": (n,)}
    if not n or {name: tuple(value.shape) for name, value in tensors.items()} != shapes:
        return f"its tensors are not those of {n} instances"
    if sizes.min() < 1 or sizes.max() > side:
        return f"the size {int(sizes.max())} is not from 1 to {side}"
    if channels.min() < 1 or channels.max() > MOST_CLASSES:
        return f"the channel {int(channels.max())} is not from 1 to {MOST_CLASSES}"
    return ""
