"""Several classifiers as one scorer: the average of what each says, under a digest of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from wilss.errors import SpecError
from wilss.foundation.classifier import ClassifierScorer
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.zoo import build_scorer, require_known

WORDS = [["ram"], ["television"]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    for name in ("test_resnet", "test_efficientnet"):
        state = timm.create_model(name, pretrained=False, num_classes=1000).state_dict()
        save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / f"{name}.safetensors")
    return tmp_path


def spec(models: str, **changes: Any) -> FoundationSpec:
    return FoundationSpec(scorer=f"classifier:{models}", precision="fp32", **changes)


@torch.inference_mode()
def test_their_maps_are_averaged_at_every_scale(folder: Path) -> None:
    images = torch.rand(2, 3, 64, 64)
    scales = {"scorer_scales": (1.0, 2.0)}
    alone = [
        build_scorer(spec(name, **scales), folder).scores(images, WORDS)
        for name in ("test_resnet", "test_efficientnet")
    ]
    assert alone[0].shape == alone[1].shape
    both = build_scorer(spec("test_resnet+test_efficientnet", **scales), folder)
    torch.testing.assert_close(both.scores(images, WORDS), (alone[0] + alone[1]) / 2)
    assert both.digest != build_scorer(spec("test_resnet", **scales), folder).digest


def test_one_alone_is_no_average(folder: Path) -> None:
    assert isinstance(build_scorer(spec("test_resnet"), folder), ClassifierScorer)


def test_mistakes_name_the_one_that_is_wrong(folder: Path) -> None:
    with pytest.raises(SpecError, match="resnet99"):
        build_scorer(spec("test_resnet+resnet99"), folder)
    with pytest.raises(SpecError, match="''"):
        build_scorer(spec("test_resnet+"), folder)
    with pytest.raises(SpecError, match=r"matches the prompts \['gadget'\]"):
        require_known(build_scorer(spec("test_resnet+test_efficientnet"), folder), {"gadget": ("gadget",)})
