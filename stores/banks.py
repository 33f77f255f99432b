"""Memory banks on disk: one safetensors file of crops and a JSON index."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from safetensors.torch import save_file
from torch import Tensor

from wilss.architecture import MOST_CLASSES
from wilss.damage import damaged, read_stored
from wilss.learn.memory import MemoryBank
from wilss.tensors import read_tensors

BANK = "bank.safetensors"
DTYPES = {"images": torch.uint8, "masks": torch.bool, "sizes": torch.int64, "channels": torch.int64}


class BankIndex(BaseModel):
    """The images that the instances were cut from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: tuple[str, ...]


def save_bank(bank: MemoryBank, folder: Path) -> None:
    """Write a bank into a staging folder."""
    tensors = {"images": bank.images, "masks": bank.masks, "sizes": bank.sizes, "channels": bank.channels}
    save_file(tensors, folder / BANK)
    (folder / "index.json").write_text(json.dumps({"ids": bank.ids}))


def load_bank(folder: Path) -> MemoryBank:
    """Read a bank. Raises DamagedArtefactError."""
    ids = read_stored(BankIndex, folder / "index.json").ids
    tensors, _ = read_tensors(folder / BANK)
    if problem := _problem(tensors, len(ids)):
        raise damaged(folder, BANK, problem)
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
