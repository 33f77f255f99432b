"""Memory banks on disk: one safetensors file of crops and a JSON index."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from safetensors.torch import save_file
from torch import Tensor

from wilss.architecture import MOST_CLASSES
from wilss.damage import damaged, read_stored
from wilss.learn.memory import Made, MemoryBank, Origin
from wilss.tensors import read_tensors

BANK = "bank.safetensors"
DTYPES = {"images": torch.uint8, "masks": torch.bool, "sizes": torch.int64, "channels": torch.int64}
SHOWN = {"shown": torch.bool}
"""Of a bank whose instances have surroundings."""


class StoredOrigin(BaseModel):
    """See `wilss.learn.memory.Origin`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    made: Made
    score: Annotated[float, Field(ge=0, le=1)]
    step: Annotated[int, Field(ge=0, le=MOST_CLASSES)]
    parent: Annotated[str, Field(pattern="^[0-9A-Za-z]{0,64}$")]


class BankIndex(BaseModel):
    """The images that the instances were cut from, and by what; without origins all come from masks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: tuple[str, ...]
    origins: tuple[StoredOrigin, ...] = ()

    @model_validator(mode="after")
    def _one_each(self) -> BankIndex:
        if self.origins and len(self.origins) != len(self.ids):
            raise ValueError(f"it has {len(self.origins)} origins for {len(self.ids)} instances")
        return self


def save_bank(bank: MemoryBank, folder: Path) -> None:
    """Write a bank into a staging folder; one of masks alone, without surroundings, looks as it did before others."""
    tensors = {"images": bank.images, "masks": bank.masks, "sizes": bank.sizes, "channels": bank.channels}
    if bank.shown is not None:
        tensors["shown"] = bank.shown
    save_file(tensors, folder / BANK)
    origins = {"origins": [asdict(origin) for origin in bank.origins]} if bank.origins else {}
    (folder / "index.json").write_text(json.dumps({"ids": bank.ids, **origins}))


def load_bank(folder: Path) -> MemoryBank:
    """Read a bank. Raises DamagedArtefactError."""
    index = read_stored(BankIndex, folder / "index.json")
    tensors, _ = read_tensors(folder / BANK)
    if problem := _problem(tensors, len(index.ids)):
        raise damaged(folder, BANK, problem)
    return MemoryBank(**tensors, ids=index.ids, origins=tuple(Origin(**dict(one)) for one in index.origins))


def _problem(tensors: dict[str, Tensor], n: int) -> str:
    """What is wrong with the tensors of ``n`` instances, see `MemoryBank`; "" when nothing is."""
    optional = SHOWN if "shown" in tensors else {}
    expected = {**DTYPES, **optional}
    if {name: value.dtype for name, value in tensors.items()} != expected:
        return f"it holds {', '.join(sorted(tensors)) or 'nothing'}; expected are {', '.join(sorted(expected))}"
    images, sizes, channels = tensors["images"], tensors["sizes"], tensors["channels"]
    side = images.shape[-1] if images.ndim else 0
    shapes = {"images": (n, 3, side, side), "masks": (n, side, side), "sizes": (n, 2), "channels": (n,)}
    shapes |= dict.fromkeys(optional, (n, side, side))
    if not n or {name: tuple(value.shape) for name, value in tensors.items()} != shapes:
        return f"its tensors are not those of {n} instances"
    if "shown" in tensors and bool((tensors["masks"] & ~tensors["shown"]).any()):
        return "what it pastes does not show all of an instance"
    if sizes.min() < 1 or sizes.max() > side:
        return f"the size {int(sizes.max())} is not from 1 to {side}"
    if channels.min() < 1 or channels.max() > MOST_CLASSES:
        return f"the channel {int(channels.max())} is not from 1 to {MOST_CLASSES}"
    return ""
