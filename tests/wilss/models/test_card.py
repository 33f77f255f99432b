"""Cards of models: what they hold, what is read of older ones, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from stores.artefacts import Recipe, Store
from tests.wilss.models.cards import (
    INPUT,
    fewshot_card,
    student_card,
    write_head_of_format_1,
    write_student_of_format_1,
)
from wilss.errors import ArtefactNotFoundError, FormatError
from wilss.models.card import CARD, FewShotCard, ModelCard, StudentCard, load_card, model_files
from wilss.models.files import save_model

STATE = {"head.weight": torch.zeros(2)}
ABOUT = {
    "spec": {"benchmark": "pascal-5i", "fold": 3, "data": {"canvas": 320}},
    "fold": "fold 3 of pascal-5i",
    "base_classes": ["cat", "dog"],
    "input": {"mean": [0.5] * 3, "std": [0.25] * 3, "arguments": {"pad_type": "same"}},
    "history": [{"loss": 0.5}],
}


def test_a_card_comes_back_with_the_colours_of_its_classes(tmp_path: Path) -> None:
    card = student_card(class_ids=(15, 1), history=[{"loss": 1.5}], start="random")
    assert card.colours == ((192, 128, 128), (128, 0, 0)), "VOC's person and aeroplane"
    save_model(STATE, card, tmp_path)
    assert load_card(tmp_path, StudentCard) == load_card(tmp_path, ModelCard) == card
    own = card.model_copy(update={"colours": ((1, 2, 3), (4, 5, 6))})
    save_model(STATE, own, tmp_path)
    assert load_card(tmp_path, StudentCard).colour_of == {15: (1, 2, 3), 1: (4, 5, 6)}
    assert json.loads((tmp_path / CARD).read_text())["format"] == 2


def test_a_student_of_format_1_has_the_same_card(tmp_path: Path) -> None:
    card = student_card(input={**INPUT, "arguments": {"pad_type": "same"}}, history=[{"loss": 1.5}], step=2)
    write_student_of_format_1(STATE, card, tmp_path)
    assert load_card(tmp_path, StudentCard) == card
    assert [path.name for path in model_files(tmp_path)] == ["student.safetensors", "index.json"]


@pytest.mark.parametrize(
    ("stage", "kind"), [("head", "few-shot"), ("stage 1", "stage 1"), ("shapes", "silhouettes"), (None, "few-shot")]
)
def test_a_few_shot_model_of_format_1_is_read(tmp_path: Path, stage: str | None, kind: str) -> None:
    store, recipe = Store(tmp_path), Recipe("heads", {"stage": stage})
    with store.build(recipe) as folder:
        write_head_of_format_1(STATE, ABOUT, folder)
        store.publish(recipe, folder, {})
    card = load_card(store.path("heads", recipe.digest), FewShotCard)
    assert (card.kind, card.benchmark, card.fold, card.classes) == (kind, "pascal-5i", ABOUT["fold"], ("cat", "dog"))
    assert (card.class_ids, card.colours) == ((), ()), "it did not tell ids"
    assert card.input.canvas == 320
    assert card.input.arguments == {"pad_type": "same"}
    assert (card.architecture, card.history) == (ABOUT["spec"], ABOUT["history"])


def test_the_other_kind_and_an_empty_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(
        ArtefactNotFoundError, match=r"holds no student \(card.json or config.json, and model.safetensors\)"
    ):
        load_card(tmp_path, StudentCard)
    save_model(STATE, fewshot_card({"fold": 3}), tmp_path)
    with pytest.raises(ArtefactNotFoundError, match="holds a few-shot model, no student; name another folder"):
        load_card(tmp_path, StudentCard)
    save_model(STATE, student_card(), tmp_path)
    with pytest.raises(ArtefactNotFoundError, match="holds a student, no few-shot model"):
        load_card(tmp_path, FewShotCard)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 3}, r"card.json' has format 3; this version reads up to 2. Upgrade wilss"),
        ({"format": 3, "colors": 1, "input": None}, "Upgrade wilss"),
        ({"format": 1}, r"card.json' is damaged: 'format' is 1 .*; take its folder anew, or delete it and run again"),
        ({"colors": 1}, "'colors' is 1"),
        ({"kind": "teacher"}, "'kind' is 'teacher'"),
        ({"kind": []}, r"'kind' is \[\]"),
        ({"colours": [[0, 0, 0]]}, "1 colours for 2 class ids"),
        ({"colours": [[0, 0, 256], [0, 0, 0]]}, "'colours.0.2' is 256"),
        ({"input": {**INPUT, "canvas": 10**9}}, "'input.canvas' is 1000000000"),
    ],
)
def test_a_card_that_is_newer_or_damaged_is_told(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    save_model(STATE, student_card(), tmp_path)
    content = json.loads((tmp_path / CARD).read_text())
    (tmp_path / CARD).write_text(json.dumps({**content, **changes}))
    with pytest.raises(FormatError, match=message):
        load_card(tmp_path, StudentCard)


def test_a_card_of_other_outputs_than_classes_cannot_be_made() -> None:
    with pytest.raises(ValidationError, match="2 outputs, 3 class names and 2 ids"):
        student_card(classes=("a", "b", "c"))


def test_a_card_needs_no_torch() -> None:
    code = "import wilss.models.card, sys; print({'torch', 'timm', 'prefect'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
