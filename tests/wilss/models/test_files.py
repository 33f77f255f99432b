"""Models on disk: they come back as they were, from folders of any format, and damage is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.wilss.models.cards import SPEC, fewshot_card, student_card, write_student_of_format_1
from wilss.errors import ArtefactNotFoundError, FormatError, SpecError
from wilss.models.card import WEIGHTS, FewShotCard, load_card
from wilss.models.files import load_state, load_student, save_model
from wilss.nets.pretrained import Weights
from wilss.nets.segmenter import build_segmenter

UNEVEN = Weights("resnet_scenes", None, False, "", "random", (0.1, 0.2, 0.3), (0.5, 0.25, 2.0))
CARD = fewshot_card({"fold": 3})


@pytest.mark.parametrize("write", [save_model, write_student_of_format_1])
def test_a_student_comes_back_with_its_input(tmp_path: Path, write: Callable[..., None]) -> None:
    torch.manual_seed(0)
    model = build_segmenter(SPEC, UNEVEN, (2,)).eval()
    write(model.state_dict(), student_card(weights=UNEVEN), tmp_path)
    found, card = load_student(tmp_path)
    images = torch.rand(1, 3, 32, 40)
    assert not found.training
    assert torch.equal(found(images), model(images)), "mean and deviation of the card are in the network"
    assert card == student_card(weights=UNEVEN)
    assert load_student(tmp_path, ("a", "b"))[1] == card
    with pytest.raises(SpecError, match="knows 2 classes, 2 are expected; first difference: 'their order'"):
        load_student(tmp_path, ("b", "a"))


def test_a_head_comes_back_as_it_was(tmp_path: Path) -> None:
    state = {"head.weight": torch.arange(6.0).reshape(2, 3).T}
    save_model(state, CARD, tmp_path)
    assert torch.equal(load_state(tmp_path)["head.weight"], state["head.weight"])
    assert load_card(tmp_path, FewShotCard) == CARD


def test_nothing_there_and_weights_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ArtefactNotFoundError, match="holds no model"):
        load_state(tmp_path)
    save_model({"head.weight": torch.zeros(2)}, CARD, tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"\x10\x00")
    with pytest.raises(FormatError, match=r"is damaged .*; take its folder anew, or delete it and run again"):
        load_state(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b'{"spec": {}}', b'{"spec": 3, "input": {}}'])
@pytest.mark.parametrize("name", ["card.json", "about.json"])
def test_a_damaged_description_is_told(tmp_path: Path, name: str, content: bytes) -> None:
    save_model({"head.weight": torch.zeros(2)}, CARD, tmp_path)
    (tmp_path / "card.json").rename(tmp_path / name)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError, match=r"is damaged.*; take its folder anew, or delete it and run again"):
        load_card(tmp_path, FewShotCard)
