"""Few-shot models on disk: they come back as they were, and damage is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stores.models.heads import ABOUT, WEIGHTS, has_backbone, load_about, load_head, save_head
from wilss.errors import ArtefactNotFoundError, FormatError

KNOWN = {"spec": {"fold": 3}, "input": {"mean": [0.5] * 3, "std": [0.25] * 3, "arguments": {}}}


def test_a_head_comes_back_as_it_was(tmp_path: Path) -> None:
    state = {"head.weight": torch.arange(6.0).reshape(2, 3).T}
    save_head(state, KNOWN, tmp_path)
    found, about = load_head(tmp_path)
    assert torch.equal(found["head.weight"], state["head.weight"])
    assert about == KNOWN == load_about(tmp_path)
    assert not has_backbone(tmp_path)
    save_head({"backbone.body.conv1.weight": torch.zeros(1)}, KNOWN, tmp_path)
    assert has_backbone(tmp_path)


def test_nothing_there_and_weights_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ArtefactNotFoundError, match="holds no few-shot model"):
        load_head(tmp_path)
    save_head({"head.weight": torch.zeros(2)}, KNOWN, tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"\x10\x00")
    for read in (load_head, has_backbone):
        with pytest.raises(FormatError, match=r"is damaged .*; delete it and run again"):
            read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b'{"spec": {}}', b'{"spec": 3, "input": {}}'])
def test_a_damaged_description_is_told(tmp_path: Path, content: bytes) -> None:
    save_head({"head.weight": torch.zeros(2)}, KNOWN, tmp_path)
    (tmp_path / ABOUT).write_bytes(content)
    with pytest.raises(FormatError, match=r"is damaged .*; delete it and run again"):
        load_about(tmp_path)
