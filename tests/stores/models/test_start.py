"""Which few-shot backbones an incremental benchmark may start from."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from stores.artefacts import Recipe, Store
from stores.models.start import fewshot_backbone
from tests.wilss.models.cards import fewshot_card
from wilss.data.spec import DataSpec
from wilss.errors import SpecError
from wilss.fewshot.spec import make_fewshot_spec
from wilss.models.files import save_model
from wilss.protocol import benchmarks


def stored(store: Store, stage: str, content: dict[str, object]) -> str:
    """A few-shot model with hardly any weights; returns how a student names it."""
    recipe = Recipe("heads", {"stage": stage}, {})
    with store.build(recipe) as folder:
        card = fewshot_card(make_fewshot_spec(content).model_dump(mode="json"))
        save_model({"backbone.body.conv1.weight": torch.zeros(1)}, card, folder)
        store.publish(recipe, folder, {})
    return f"heads:{recipe.digest}"


@pytest.mark.parametrize("stage", ["stage 1", "head"])
@pytest.mark.parametrize(
    ("stage1", "words"),
    [
        ({"lists": "all"}, r"has no image without a base class, .*stage1\.lists=unfiltered"),
        ({"lists": "unfiltered", "novel": "ignore"}, r"so their masks were used; .*stage1\.novel=background"),
        ({"lists": "unfiltered", "novel": "background"}, None),
        ({"lists": "filtered", "novel": "ignore"}, None),
    ],
)
def test_nor_may_stage_1_know_more_than_the_base_step_shows(
    tmp_path: Path, stage: str, stage1: dict[str, str], words: str | None
) -> None:
    store, protocol = Store(tmp_path), benchmarks()["scenes-15-5"]
    content = {"benchmark": "scenes-5i", "fold": 3, "preset": "tiny", "head": "cwt"}
    name = stored(store, stage, {**content, "stage1": {"novel": "background", **stage1}})
    with nullcontext() if words is None else pytest.raises(SpecError, match=words):
        fewshot_backbone(name, "resnet_scenes", store, protocol, "overlap", DataSpec())


@pytest.mark.parametrize("stage", ["stage 1", "head"])
@pytest.mark.parametrize("fold", [0, 1, 2])
def test_no_other_fold_may_start_15_5(tmp_path: Path, stage: str, fold: int) -> None:
    store, protocol = Store(tmp_path), benchmarks()["scenes-15-5"]
    name = stored(store, stage, {"benchmark": "scenes-5i", "fold": fold, "preset": "tiny", "head": "aspp"})
    with pytest.raises(SpecError, match="has seen masks of"):
        fewshot_backbone(name, "resnet_scenes", store, protocol, "overlap", DataSpec())


@pytest.mark.parametrize(
    ("few_shot", "data", "words"),
    [
        ({"train_list": "val"}, {}, "was trained on images of 'val', which voc-15-5 scores"),
        ({"train_list": "val"}, {"eval_list": "dev"}, None),
        ({}, {}, None),
    ],
)
def test_nor_may_the_images_that_are_scored_have_been_trained_on(
    tmp_path: Path, few_shot: dict[str, str], data: dict[str, str], words: str | None
) -> None:
    store, protocol = Store(tmp_path), benchmarks()["voc-15-5"]
    content = {"benchmark": "pascal-5i", "fold": 3, "preset": "tiny", "head": "aspp", "data": few_shot}
    name = stored(store, "head", {**content, "backbone": {"backbone": "resnet_scenes"}})
    with nullcontext() if words is None else pytest.raises(SpecError, match=words):
        fewshot_backbone(name, "resnet_scenes", store, protocol, "overlap", DataSpec(**data))  # type: ignore[arg-type]
