"""Names and arguments of networks that files may give, and the sizes that a specification may ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from wilss.architecture import InputCard, harmless, plain_name
from wilss.errors import SpecError
from wilss.fewshot.spec import make_fewshot_spec
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.zoo import build_grouper, build_scorer
from wilss.nets.pretrained import Weights, build, find_weights
from wilss.spec import make_spec

NAMES = ("hf-hub:timm/resnet18", "hf_hub:timm/resnet18", "local-dir:/tmp/evil", "/tmp/resnet18", "../resnet18")
NAMES += ("a\\resnet18", "resnet18.", ".resnet18", "", "resnet18\n", "résnet18", "resnet18.a.b", "r" * 500)
ARGUMENTS = ({"checkpoint_path": "evil.pt"}, {"pretrained": "1"}, {"pretrained_cfg": "x"}, {"cache_dir": "/tmp"})
ARGUMENTS += ({"pad_type": "../x"}, {"in_chans": "1000000"}, {"pad_type": "same", "num_classes": "9"})


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_paths_or_addresses(name: str) -> None:
    with pytest.raises(SpecError, match="is no plain model name"):
        plain_name(name)
    with pytest.raises(SpecError, match="is no plain model name"):
        find_weights(name, "none", None)
    with pytest.raises(SpecError, match="is no plain model name"):
        Weights(name, None, False, "", "", (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(SpecError, match="is no plain model name"):
        make_spec({"benchmark": "scenes-15-5", "student": {"backbone": name}})
    with pytest.raises(SpecError, match="is no plain model name"):
        make_fewshot_spec({"benchmark": "scenes-5i", "fold": 0, "backbone": {"backbone": name}})


def test_every_name_of_timm_is_plain() -> None:
    for name in (*timm.list_models(), *timm.list_pretrained()):
        assert plain_name(name) == name


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_arguments_that_no_file_may_give(arguments: dict[str, str]) -> None:
    with pytest.raises(SpecError, match="is no argument that a file may give"):
        harmless(arguments)
    with pytest.raises(SpecError, match="is no argument that a file may give"):
        Weights("resnet18", None, False, "", "", (0.5,) * 3, (0.5,) * 3, tuple(arguments.items()))
    with pytest.raises(ValueError, match="is no argument that a file may give"):
        InputCard(mean=(0.5,) * 3, std=(0.5,) * 3, arguments=arguments)


@pytest.mark.parametrize("std", [(0.0, 1, 1), (float("nan"), 1, 1), (1, 1), (float("inf"), 1, 1)])
def test_a_normalisation_that_is_none(std: Any) -> None:
    with pytest.raises(ValueError, match="std"):
        InputCard(mean=(0.5,) * 3, std=std, arguments={"pad_type": "same"})


def test_notes_of_a_weights_file_name_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notes' pattern takes words only, but a file may be called by a word."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "resnet18.safetensors"
    save_file({"x": torch.zeros(1)}, path, {"architecture": "timm resnet18, checkpoint_path='evil'"})
    with pytest.raises(SpecError, match="'checkpoint_path=evil' is no argument that a file may give"):
        find_weights("resnet18", str(path), None)


def test_a_model_that_timm_lacks_is_a_sentence() -> None:
    weights = Weights("resnet_none", None, False, "", "", (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(SpecError, match="timm has no model 'resnet_none'"):
        build(weights)
    with pytest.raises(SpecError, match=r"timm has no weights 'resnet18\.none'"):
        build(Weights("resnet18.none", None, False, "", "", (0.5,) * 3, (0.5,) * 3))


@pytest.mark.parametrize("kind", ["dino", "features", "clip", "classifier"])
@pytest.mark.parametrize("name", ["hf-hub:timm/vit_tiny", "local-dir:evil"])
def test_scorers_and_groupers_fetch_nothing_by_an_address(kind: str, name: str) -> None:
    role, builder = ("grouper", build_grouper) if kind in ("dino", "features") else ("scorer", build_scorer)
    with pytest.raises(SpecError, match=r"is no plain model name|open_clip has no model"):
        builder(FoundationSpec(**{role: f"{kind}:{name}"}))


@pytest.mark.parametrize(
    "key",
    [
        "student.aspp_channels",
        "data.canvas",
        "data.n_train",
        "data.world.image_size",
        "data.eval_crop",
        "augment.crop",
        "step.epochs",
        "step.batch_size",
        "foundation.cosegment.n_seeds",
        "foundation.cosegment.pamr_side",
        "fmwiss.teacher_channels",
        "fmwiss.memory.side",
        "fmwiss.paste.count",
        "wilson.channels",
    ],
)
def test_sizes_that_no_machine_holds(key: str) -> None:
    content: Any = 10**9
    for part in reversed(key.split(".")):
        content = {part: content}
    with pytest.raises(SpecError, match=rf"'{key}' is 1000000000: input should be less than"):
        make_spec({"benchmark": "scenes-15-5", **content})


@pytest.mark.parametrize(
    "key",
    ["size", "crop1", "episodes", "shapes.images", "psp.channels", "pfenet.channels", "aspp.channels", "ipmt.dim"],
)
def test_few_shot_sizes_that_no_machine_holds(key: str) -> None:
    content: Any = 10**9
    for part in reversed(key.split(".")):
        content = {part: content}
    with pytest.raises(SpecError, match=rf"'{key}' is 1000000000: input should be less than"):
        make_fewshot_spec({"benchmark": "scenes-5i", "fold": 0, **content})


@pytest.mark.parametrize("rates", [(10**9,), (1,) * 10_000])
def test_dilations_are_few_and_small(rates: tuple[int, ...]) -> None:
    with pytest.raises(SpecError, match="aspp_rates"):
        make_spec({"benchmark": "scenes-15-5", "student": {"aspp_rates": rates}})
