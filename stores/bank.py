"""Memory banks on disk: one safetensors file of crops and a JSON index."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file, save_file

from stores.reading import whole
from wilss.learn.memory import MemoryBank


def save_bank(bank: MemoryBank, folder: Path) -> None:
    """Write a bank into a staging folder."""
    tensors = {"images": bank.images, "masks": bank.masks, "sizes": bank.sizes, "channels": bank.channels}
    save_file(tensors, folder / "bank.safetensors")
    (folder / "index.json").write_text(json.dumps({"ids": bank.ids}))


def load_bank(folder: Path) -> MemoryBank:
    """Read a bank. Raises FormatError for a damaged one."""
    with whole(folder / "index.json"):
        ids = tuple(map(str, json.loads((folder / "index.json").read_text())["ids"]))
    with whole(folder / "bank.safetensors"):
        return MemoryBank(**load_file(folder / "bank.safetensors"), ids=ids)
