"""Backbones whose last maps are coarser than c3: a ResNet at output stride 16, a VGG."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.wilss.slow_operators import slow_resize
from tests.wilss.tiny_heads import TRAINED, batch_of, spec_of
from wilss.fewshot.build import build_model, build_stage1
from wilss.fewshot.heads.aspp import AsppHead
from wilss.fewshot.heads.bam import BamHead
from wilss.fewshot.heads.contract import HeadInput
from wilss.fewshot.heads.ipmt import IpmtHead
from wilss.fewshot.heads.pfenet import PfenetHead
from wilss.fewshot.heads.spec import AsppSpec, BamSpec, IpmtSpec, PfenetSpec
from wilss.nets.pretrained import find_weights
from wilss.testing.episodes import make_input

CHANNELS = (3, 4, 5, 6)
HEADS = {
    "aspp": lambda: AsppHead(CHANNELS, AsppSpec(channels=8, rates=(1, 3))),
    "pfenet": lambda: PfenetHead(CHANNELS, PfenetSpec(channels=8)),
    "bam": lambda: BamHead(CHANNELS, BamSpec(channels=8, rates=(1, 3)), 1),
    "ipmt": lambda: IpmtHead(CHANNELS, IpmtSpec(dim=8, hidden=16, layers=2)),
}


def with_c3(inputs: HeadInput, query: torch.Tensor, support: torch.Tensor) -> HeadInput:
    return replace(inputs, query=inputs.query._replace(c3=query), support=inputs.support._replace(c3=support))


@pytest.mark.parametrize("name", HEADS)
def test_a_finer_c3_is_brought_to_the_size_of_c4(name: str) -> None:
    torch.manual_seed(0)
    head: nn.Module = HEADS[name]().double().eval()
    inputs, fine = make_input(n_base=3), [torch.randn(2, 4, 13, 13, dtype=torch.float64) for _ in range(2)]
    assert inputs.base_logits is not None
    # the base learner's map may have yet another size; BAM's psi adds nothing before anything is learnt
    inputs = replace(inputs, base_logits=slow_resize(inputs.base_logits, (4, 4)))
    found = head(with_c3(inputs, *fine)).logits
    wanted = head(with_c3(inputs, *(slow_resize(maps, (7, 7)) for maps in fine))).logits
    assert found.shape == (2, 2, 7, 7)
    torch.testing.assert_close(found, wanted)
    assert not torch.allclose(found, head(inputs).logits, atol=1e-3), "c3 matters"


COARSE = {"backbone": "resnet_scenes", "output_stride": 16}


@pytest.mark.parametrize(
    ("head", "backbone"), [*((head, COARSE) for head in TRAINED), ("bam", {"backbone": "vgg16_bn"})]
)
def test_every_head_learns_on_maps_of_two_sizes(head: str, backbone: dict[str, object]) -> None:
    spec = spec_of(head, backbone={**backbone, "weights": "none"}, shapes=None, train={"tuning": "full"})
    torch.manual_seed(0)
    weights = find_weights(spec.backbone.backbone, "none", None)
    model = build_model(spec, weights, 15, build_stage1(spec, weights, 15).state_dict())
    features = model.backbone(torch.zeros(1, 3, 65, 65))
    assert [maps.shape[-1] for maps in (features.c3, features.c4, features.c5)] == [9, 5, 5]
    torch.stack(list(model.train().losses(batch_of()).values())).sum().backward()
    trained = [p.grad for part in model.parts().values() for p in part if p.grad is not None]
    assert all(bool(gradient.isfinite().all()) for gradient in trained)
    assert next(model.backbone.parameters()).grad is not None, "down to the first layer"
    with torch.inference_mode():
        assert model.eval().predict(batch_of()).shape == (2, 2, 65, 65)
