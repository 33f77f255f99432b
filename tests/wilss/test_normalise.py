"""Networks take plain images in [0, 1]: mean and deviation of their backbone are applied within."""

from __future__ import annotations

import copy

import torch

from wilss.fewshot.pyramid import PyramidBackbone
from wilss.nets.normalise import Normalise
from wilss.nets.pretrained import Weights
from wilss.nets.segmenter import build_segmenter
from wilss.nets.spec import StudentSpec

MEAN, STD = (0.1, 0.5, 0.3), (0.5, 0.25, 2.0)
WEIGHTS = Weights("resnet_scenes", None, False, "", "random", MEAN, STD)


def by_hand(images: torch.Tensor) -> torch.Tensor:
    return torch.stack([(images[:, c] - MEAN[c]) / STD[c] for c in range(3)], 1)


def test_mean_and_deviation_go_with_the_network_and_into_no_state() -> None:
    images = torch.rand(2, 3, 5, 7)
    layer = copy.deepcopy(Normalise(MEAN, STD))
    found = layer(images)
    assert torch.equal(found, by_hand(images))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert not layer.state_dict()
    assert [value.device.type for value in layer.to("meta").buffers()] == ["meta", "meta"]


def test_a_student_normalises_before_its_backbone_only() -> None:
    spec = StudentSpec(backbone="resnet_scenes", weights="none", output_stride=8, aspp_channels=8, aspp_rates=(1, 2))
    model, images = build_segmenter(spec, WEIGHTS, (3,)).eval(), torch.rand(1, 3, 32, 40)
    expected = model.backbone(by_hand(images).contiguous(memory_format=torch.channels_last))[-1]
    assert torch.equal(model.features(images), expected)
    assert torch.equal(model(images), model.classify(expected))
    assert not any(name.startswith("normalise") for name in model.state_dict())


def test_a_pyramid_normalises_before_its_first_stage_only() -> None:
    net, plain = PyramidBackbone(WEIGHTS).eval(), PyramidBackbone(WEIGHTS).eval()
    plain.load_state_dict(net.state_dict())
    plain.normalise = Normalise((0.0,) * 3, (1.0,) * 3)
    images = torch.rand(2, 3, 65, 65)
    for ours, theirs in zip(net(images), plain(by_hand(images)), strict=True):
        assert torch.equal(ours, theirs)
