"""Memory banks on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stores.banks import load_bank, save_bank
from wilss.errors import FormatError
from wilss.learn.memory import MemoryBank


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images, masks = torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.ones(2, 4, 4, dtype=torch.bool)
    save_bank(MemoryBank(images, masks, torch.full((2, 2), 4), torch.tensor([1, 2]), ("a", "b")), tmp_path)
    return tmp_path


def test_a_bank_comes_back(folder: Path) -> None:
    bank = load_bank(folder)
    assert bank.ids == ("a", "b")
    assert bank.counts() == {1: 1, 2: 1}


@pytest.mark.parametrize("name", ["index.json", "bank.safetensors"])
@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"id": []}', '{"ids": 3}'])
def test_damage_is_named(folder: Path, name: str, content: str | None) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(FormatError, match=f"{name}' is damaged.*; take its folder anew, or delete it and run again"):
        load_bank(folder)
