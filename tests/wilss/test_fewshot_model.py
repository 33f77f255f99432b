"""How a few-shot model is put together: whose backbone it starts from, and what its head is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.wilss.tiny_heads import WEIGHTS, batch_of, model_of, spec_of
from wilss.fewshot.build import build_model, build_pyramid, build_stage1
from wilss.fewshot.heads.bam import BamHead


@pytest.mark.parametrize(
    ("head", "start"),
    [("aspp", "base"), ("bam", "base"), ("cwt", "base"), ("aspp", "pretrained"), ("bam", "pretrained")],
)
def test_a_head_starts_from_stage_1s_backbone_or_from_the_one_before_it(head: str, start: str) -> None:
    spec = spec_of(head, start=start, train={"tuning": "svf"})
    plain = build_stage1(spec, WEIGHTS, 15).state_dict()
    stage1 = {name: value + 0.01 if value.is_floating_point() else value for name, value in plain.items()}
    model = build_model(spec, WEIGHTS, 15, stage1)
    found = model.backbone.state_dict()
    before = build_pyramid(spec, WEIGHTS, False).state_dict()
    wanted = {name: stage1[f"backbone.{name}"] for name in found} if start == "base" else before
    assert all(torch.equal(value, wanted[name]) for name, value in found.items())
    weights = [name for name in found if name.endswith("weight")]
    assert all(not torch.equal(stage1[f"backbone.{name}"], before[name]) for name in weights)


def test_bams_base_learner_is_silent_about_the_class_of_the_episode() -> None:
    model = model_of(spec_of("bam")).eval()
    head = model.head
    assert isinstance(head, BamHead)
    with torch.no_grad():
        head.ensemble.copy_(torch.tensor([1.0, 1.0]))
    batch = batch_of()

    def background(place: int) -> Tensor:
        told = replace(batch, base_class=torch.full((2,), place))
        with torch.inference_mode():
            return model.predict(told)[:, 0]

    of_none = background(-1)
    for place in (0, 14):
        assert (background(place) <= of_none).all()
        assert (background(place) < of_none).any()
    assert not torch.equal(background(0), background(14))
