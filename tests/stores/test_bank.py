"""Memory banks on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stores.banks import load_bank, save_bank
from wilss.errors import FormatError
from wilss.learn.memory import MemoryBank, Origin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images, masks = torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.ones(2, 4, 4, dtype=torch.bool)
    save_bank(MemoryBank(images, masks, torch.full((2, 2), 4), torch.tensor([1, 2]), ("a", "b")), tmp_path)
    return tmp_path


def test_a_bank_comes_back(folder: Path) -> None:
    bank = load_bank(folder)
    assert bank.ids == ("a", "b")
    assert bank.counts() == {1: 1, 2: 1}
    assert bank.origins == ()
    assert (folder / "index.json").read_text() == '{"ids": ["a", "b"]}', "as it was before there were origins"


def test_surroundings_come_back(folder: Path) -> None:
    bank = load_bank(folder)
    assert bank.shown is None
    masks = torch.eye(4, dtype=torch.bool).expand(2, 4, 4).contiguous()
    shown = masks | masks.flip(1)
    save_bank(replace(bank, masks=masks, shown=shown), folder)
    found = load_bank(folder).shown
    assert found is not None
    assert torch.equal(found, shown)


def grown(folder: Path) -> MemoryBank:
    """The bank of a folder with origins, written over it."""
    origins = (Origin(), Origin("student", 0.75, 2, "5eed"))
    bank = replace(load_bank(folder), origins=origins)
    save_bank(bank, folder)
    return bank


def test_origins_come_back(folder: Path) -> None:
    assert load_bank(folder).origin(1) == Origin()
    assert grown(folder).origins == load_bank(folder).origins


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("made", "magic"),
        ("score", 1.5),
        ("score", "NaN"),
        ("step", -1),
        ("parent", "../../etc"),
        ("parent", None),
        ("more", 1),
    ],
)
def test_damaged_origins_are_named(folder: Path, key: str, value: object) -> None:
    grown(folder)
    content = json.loads((folder / "index.json").read_text())
    content["origins"][1][key] = value
    (folder / "index.json").write_text(json.dumps(content))
    with pytest.raises(FormatError, match=r"index.json' is damaged.*origins.*; take its folder anew"):
        load_bank(folder)


def test_an_origin_that_is_missing_is_damage(folder: Path) -> None:
    grown(folder)
    content = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**content, "origins": content["origins"][:1]}))
    with pytest.raises(FormatError, match=r"index.json' is damaged.*1 origins for 2 instances"):
        load_bank(folder)


@pytest.mark.parametrize("name", ["index.json", "bank.safetensors"])
@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"id": []}', '{"ids": 3}'])
def test_damage_is_named(folder: Path, name: str, content: str | None) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(FormatError, match=f"{name}' is damaged.*; take its folder anew, or delete it and run again"):
        load_bank(folder)
