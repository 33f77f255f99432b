"""Backbones within the weights of few-shot models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stores.models.heads import has_backbone, part_of
from tests.wilss.models.cards import fewshot_card
from wilss.errors import FormatError
from wilss.models.card import WEIGHTS
from wilss.models.files import load_state, save_model

CARD = fewshot_card({"fold": 3})


def test_a_model_holds_its_backbone_or_not(tmp_path: Path) -> None:
    save_model({"head.weight": torch.zeros(2, 3)}, CARD, tmp_path)
    assert not has_backbone(tmp_path)
    save_model({"backbone.body.conv1.weight": torch.zeros(1)}, CARD, tmp_path)
    assert has_backbone(tmp_path)
    assert list(part_of(load_state(tmp_path), "backbone.body.")) == ["conv1.weight"]


def test_weights_that_are_none_are_told(tmp_path: Path) -> None:
    save_model({"head.weight": torch.zeros(2)}, CARD, tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"\x10\x00")
    with pytest.raises(FormatError, match=r"is damaged .*; take its folder anew, or delete it and run again"):
        has_backbone(tmp_path)
