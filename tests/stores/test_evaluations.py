"""Stored confusion matrices, damaged or from others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from stores.evaluations import FILE, Confusions, read_confusions, save_confusions
from wilss.errors import FormatError
from wilss.outside import checked


def test_matrices_come_back(tmp_path: Path) -> None:
    matrix = torch.arange(16 * 16).view(16, 16)
    save_confusions(tuple(map(str, range(15))), {"full": matrix}, tmp_path)
    found = read_confusions(tmp_path)
    assert list(found) == ["full"]
    assert torch.equal(found["full"], matrix)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"tables": 3}', '{"tables": {"full": [[1]]}}', '{"tables": {"full": [["a"]]}}']
)
def test_damage_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(FormatError, match=r"confusion\.json' is damaged.*; take its folder anew"):
        read_confusions(tmp_path)


def test_a_lost_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"confusion\.json' is damaged"):
        read_confusions(tmp_path)


@pytest.mark.parametrize(
    "tables",
    [[], {"full": [[1]]}, {"full": [[1, 2], [3]]}, {"full": [[1, 2], [3, -4]]}, {"full": [[1, 2], [3, 2**63]]}],
)
def test_evaluations_that_are_none(tmp_path: Path, tables: Any) -> None:
    sound = checked(Confusions, {"classes": ["a"], "tables": {"full": [[1, 2], [3, 4]]}}, tmp_path, "")
    assert sound.tables["full"] == [[1, 2], [3, 4]]
    with pytest.raises(FormatError, match="is damaged"):
        checked(Confusions, {"classes": ["a"], "tables": tables}, tmp_path, "")
