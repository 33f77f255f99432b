"""Few-shot models in a store that came from others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from stores.artefacts import Recipe, Store
from stores.models.start import fewshot_backbone
from stores.models.subject import open_subject
from tests.stores.test_hostile import change
from tests.wilss.models.cards import INPUT, fewshot_card, write_head_of_format_1
from wilss.data.spec import DataSpec
from wilss.errors import FormatError, SpecError, WilssError
from wilss.fewshot.build import build_pyramid
from wilss.fewshot.spec import make_fewshot_spec
from wilss.models.files import save_model
from wilss.nets.pretrained import find_weights
from wilss.protocol import benchmarks

TINY = {"benchmark": "scenes-5i", "fold": 3, "preset": "tiny", "shapes": None, "start": "pretrained", "head": "aspp"}


def stored(
    store: Store, changes: dict[str, Any], known: dict[str, Any] = INPUT, stage: object = "head", old: bool = False
) -> str:
    """A head that was tuned by its singular values and began with random weights."""
    spec = make_fewshot_spec({**TINY, "train": {"tuning": "svf"}, "backbone": {"weights": "none"}})
    torch.manual_seed(spec.seed)
    backbone = build_pyramid(spec, find_weights(spec.backbone.backbone, "none", None), False)
    plain = spec.model_dump(mode="json")
    for key, value in changes.items():
        section, name = key.split(".")
        plain[section][name] = value
    recipe = Recipe("heads", {"stage": stage, "weights": "random", "changes": changes, "input": known}, {})
    with store.build(recipe) as folder:
        state = {f"backbone.{name}": value for name, value in backbone.state_dict().items()}
        if old:
            write_head_of_format_1(state, {"spec": plain, "input": known}, folder)
        else:
            save_model(state, fewshot_card(plain), folder)
            change(folder / "card.json", {"input": known})
        store.publish(recipe, folder, {})
    return f"heads:{recipe.digest}"


@pytest.mark.parametrize("old", [False, True])
def test_a_sound_one_is_opened(tmp_path: Path, old: bool) -> None:
    subject = open_subject(stored(Store(tmp_path), {}, old=old), Store(tmp_path), None)
    assert all(bool((g - 1).abs().max() < 1e-3) for g in subject.vectors.values())
    assert subject.tuned.get_submodule("normalise").std.tolist() == [0.25] * 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone.backbone": "resnet200"}, "does not hold the network that is described beside it"),
        ({"backbone.backbone": "local-dir:/tmp/evil"}, "is no plain model name"),
        ({"backbone.backbone": "resnet_none"}, "timm has no model"),
        ({"aspp.channels": 10**9}, "'aspp.channels' is 1000000000"),
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_networks_that_are_not_there(tmp_path: Path, changes: dict[str, Any], message: str, old: bool) -> None:
    store = Store(tmp_path)
    with pytest.raises(WilssError, match=message):
        open_subject(stored(store, changes, old=old), store, None)


def test_a_file_that_a_card_names_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "named.safetensors"
    named.write_bytes(b"x")
    opened: list[str] = []

    def find(model: str, weights: str, folder: Path | None) -> Any:
        opened.append(weights)
        return find_weights(model, "none", folder)

    monkeypatch.setattr("stores.models.subject.find_weights", find)
    store = Store(tmp_path)
    open_subject(stored(store, {"backbone.weights": str(named)}), store, None)
    assert set(opened) == {"auto"}


@pytest.mark.parametrize("old", [False, True])
def test_what_a_student_starts_from_gives_timm_no_path(tmp_path: Path, old: bool) -> None:
    store = Store(tmp_path)
    given = ("resnet_scenes", store, benchmarks()["scenes-15-5"], "overlap", DataSpec())
    evil = stored(store, {}, {**INPUT, "arguments": {"checkpoint_path": "evil.pt"}}, old=old)
    with pytest.raises(FormatError, match=r"'checkpoint_path=evil\.pt' is no argument that a file may give"):
        fewshot_backbone(evil, *given)
    with pytest.raises(FormatError, match="its stage is None"):
        fewshot_backbone(stored(store, {}, stage=None, old=old), *given)
    with pytest.raises((SpecError, FormatError), match="is no plain model name"):
        fewshot_backbone(stored(store, {"backbone.backbone": "hf-hub:evil/model"}, old=old), *given)
