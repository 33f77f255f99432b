"""A model folder: written, read again, damaged, and of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import wilss
from tests.wilss.models.cards import SPEC, student_card
from wilss.errors import DamagedArtefactError, FormatError, SpecError
from wilss.models.folder import Provenance, activations_of, readme
from wilss.models.model import Model
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter

IMAGE = torch.randint(0, 256, (3, 40, 60), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    network = build_segmenter(SPEC, find_weights("resnet_scenes", "none", None), (2, 1)).eval()
    with torch.no_grad():
        for layer in network.classifiers:
            layer.weight.mul_(1000)
    card = student_card(step=1, step_sizes=(2, 1), classes=("a", "b|<c>", "d"), class_ids=(7, 20, 3), licence="X-1")
    return Model(network, card, "0123abcd")


def config(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())


def change(folder: Path, **keys: Any) -> None:
    (folder / "config.json").write_text(json.dumps({**config(folder), **keys}))


def test_what_is_saved_is_loaded_again(model: Model, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "m")
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["README.md", "config.json", "model.safetensors"]
    for again in (wilss.load(tmp_path / "m", device="cpu"), Model.from_pretrained(tmp_path / "m", device="cpu")):
        assert again.card == model.card
        assert again.digest == "0123abcd"
        assert torch.equal(again.predict(IMAGE), model.predict(IMAGE))
    assert len(model.predict(IMAGE).unique()) > 1


def test_others_can_read_names_colours_and_weights(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path)
    known = config(tmp_path)
    assert known["id2label"] == {"0": "background", "7": "a", "20": "b|<c>", "3": "d"}
    assert known["palette"]["7"] == [128, 128, 128]
    assert known["wilss_version"] == wilss.__version__
    assert known["card"]["input"]["canvas"] == 64
    assert known["activations"] == list(activations_of(model.network.backbone)) == ["ReLU"]
    assert load_file(tmp_path / "model.safetensors").keys() == model.network.state_dict().keys()


def test_the_readme_names_every_class_with_its_score() -> None:
    told = Provenance(
        "0123abcd" * 4, 12, {"background": 0.9, "a": 0.5, "b|<c>": None}, {"old": 0.5, "new": 0, "all": 0.7}
    )
    card = student_card(step=1, step_sizes=(1, 1), classes=("a", "b|<c>"), class_ids=(7, 20))
    text = readme(card, told)
    _, front, body = text.split("---\n", 2)
    assert yaml.safe_load(front)["pipeline_tag"] == "image-segmentation"
    assert "| 7 | a | 0 | 50.0 |\n| 20 | b\\|&lt;c&gt; | 1 | – |" in body
    assert "On 12 full-size images: old classes 50.0, new 0.0, all with background 70.0" in body
    assert "not scored" in readme(card, Provenance())
    evil = student_card(classes=("\\<img src=x onerror=1>", "a\\|b"))
    assert "| \\\\&lt;img src=x onerror=1&gt; |" in readme(evil, Provenance())
    assert "| a\\\\\\|b |" in readme(evil, Provenance())


def test_save_replaces_nothing_and_save_pretrained_does(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path)
    with pytest.raises(SpecError, match="holds a model already"):
        model.save(tmp_path)
    model.save_pretrained(tmp_path)
    assert wilss.load(tmp_path, device="cpu").card == model.card


def test_other_weights_than_those_it_was_written_with_are_refused(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    state["classifiers.0.bias"] += 1
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(DamagedArtefactError, match=r"model\.safetensors.*config\.json.*take the folder anew"):
        wilss.load(tmp_path)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"model_type": "segformer"}, "of a model of type 'segformer', not wilss-student"),
        ({"card": None}, "it has no card.*take the folder anew, from where it came from$"),
        ({"activations": ["QuickGELU"]}, "trained with the activations QuickGELU.*built here with ReLU"),
        ({"weights": {"bytes": -1, "checksum": "x"}}, "weights"),
    ],
)
def test_a_folder_of_others_or_a_changed_one_is_named(
    model: Model, tmp_path: Path, keys: dict[str, Any], message: str
) -> None:
    model.save(tmp_path)
    change(tmp_path, **keys)
    with pytest.raises(FormatError, match=message):
        wilss.load(tmp_path)


def test_keys_that_people_add_are_let_be(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path)
    change(tmp_path, note="mine", id2label={"0": "nothing"})
    assert wilss.load(tmp_path, device="cpu").classes[0] == "background"
