"""Singular value fine-tuning: exactness, gradients, counts, folding, and what stays frozen."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from timm.layers import Conv2dSame, ScaledStdConv2d
from torch import nn

from tests.wilss.factored import FactoredConv2d
from wilss.errors import SpecError
from wilss.fewshot.pyramid import PyramidBackbone
from wilss.nets.pretrained import find_weights
from wilss.nets.stages import last_stages
from wilss.nets.svf import apply_svf, fold, load_svf_state, svf_layers, svf_state


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(((a - b).norm() / b.norm()).detach())


def convolution(**changes: object) -> nn.Sequential:
    torch.manual_seed(0)
    settings = {"in_channels": 12, "out_channels": 8, "kernel_size": 3, "padding": 1, **changes}
    return nn.Sequential(nn.Conv2d(**settings))  # type: ignore[arg-type]


CASES = [
    {},
    {"groups": 4},
    {"in_channels": 8, "groups": 8},  # depthwise
    {"stride": 2, "bias": False},
    {"padding_mode": "reflect"},
    {"dilation": 2, "padding": 2},
    {"in_channels": 3, "out_channels": 64},  # rank 27, not a multiple of four
    {"out_channels": 1},
]


@pytest.mark.parametrize("changes", CASES)
def test_composed_equals_factored_equals_the_layer(changes: dict[str, object]) -> None:
    plain = convolution(**changes)
    images = torch.randn(2, plain[0].in_channels, 10, 11)
    expected = plain(images)
    factored = FactoredConv2d(copy.deepcopy(plain[0]))
    assert relative(factored(images), expected) < 1e-5
    tuned = copy.deepcopy(plain)
    apply_svf(tuned, ["0"])
    assert relative(tuned(images), expected) < 1e-5
    assert relative(fold(tuned)(images), expected) < 1e-5
    assert type(tuned[0]) is nn.Conv2d
    assert set(tuned.state_dict()) == set(plain.state_dict())


def test_layers_with_tensorflows_padding_too() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(Conv2dSame(4, 6, 3, stride=2), nn.ReLU())
    images = torch.randn(2, 4, 10, 11)
    assert relative(FactoredConv2d(copy.deepcopy(plain[0]))(images), plain[0](images)) < 1e-5
    tuned = copy.deepcopy(plain)
    apply_svf(tuned, ["0"])
    composed = tuned(images)
    assert relative(composed, plain(images)) < 1e-5
    assert torch.equal(fold(tuned)(images), composed)
    with pytest.raises(SpecError, match="of Conv2d and Conv2dSame, not ScaledStdConv2d; compose it"):
        FactoredConv2d(ScaledStdConv2d(4, 6, 3))


def test_a_refusal_leaves_the_module_as_it_was() -> None:
    mixed = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3).double(), nn.ReLU())
    for layers, words in (
        (["0", "1"], "make the backbone .float\\(\\) first"),
        (["0", "9"], "no module '9'"),
        (["2"], "nothing"),
    ):
        with pytest.raises(SpecError, match=words):
            apply_svf(mixed, layers)
        assert not any(svf_layers(mixed))
        assert all(p.requires_grad for p in mixed.parameters())
    assert len(apply_svf(mixed.float(), ["0", "1"])) == 2


def test_linear_layers_too() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(7, 5))
    images = torch.randn(3, 7)
    tuned = copy.deepcopy(plain)
    (vector,) = apply_svf(tuned, ["0"])
    assert vector.shape == (1, 5)
    assert relative(tuned(images), plain(images)) < 1e-5


@pytest.mark.parametrize("groups", [1, 4])
def test_gradient_of_the_factor_is_that_of_the_value_times_the_value(groups: int) -> None:
    plain, images = convolution(groups=groups), torch.randn(2, 12, 9, 9)
    vectors = []
    for form in ("factor", "direct"):
        tuned = copy.deepcopy(plain)
        (vector,) = apply_svf(tuned, ["0"], form)  # type: ignore[arg-type]
        tuned(images).square().sum().backward()
        vectors.append(vector)
    factor, direct = vectors
    assert factor.grad is not None
    assert direct.grad is not None
    assert torch.allclose(factor.grad, direct.detach() * direct.grad, rtol=1e-4, atol=1e-3)
    factored = FactoredConv2d(copy.deepcopy(plain[0]))
    factored(images).square().sum().backward()
    assert factored.values.grad is not None
    assert relative(factored.values.grad, direct.grad) < 1e-4


def test_composition_stays_float32_under_autocast() -> None:
    tuned = convolution()
    apply_svf(tuned, ["0"])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert tuned[0].weight.dtype == torch.float32
        assert tuned(torch.randn(1, 12, 8, 8)).dtype == torch.bfloat16


def test_weights_in_another_precision_are_refused() -> None:
    with pytest.raises(SpecError, match=r"weight of '0' is torch.float64; make the backbone .float\(\) first"):
        apply_svf(convolution().double(), ["0"])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("resnet50d", 12_544), ("resnet101d", 25_600)])
def test_trainable_counts_of_deep_stem_resnets(name: str, count: int) -> None:
    backbone = timm.create_model(name, features_only=True)
    layers = last_stages(backbone, 3)
    assert layers == ("layer2", "layer3", "layer4")
    vectors = apply_svf(backbone, layers)
    assert sum(v.numel() for v in vectors) == count
    assert sum(p.numel() for p in backbone.parameters() if p.requires_grad) == count


def test_trainable_count_of_vgg16() -> None:
    backbone = PyramidBackbone(find_weights("vgg16_bn", "none", None))
    assert sum(v.numel() for v in apply_svf(backbone, backbone.stage_names(3))) == 3_840


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobilenetv2_100", [f"blocks.{k}" for k in range(2, 7)]),
        ("efficientnet_b0", [f"blocks.{k}" for k in range(2, 7)]),
        ("convnext_atto", [f"stages_{k}" for k in (1, 2, 3)]),
        ("vit_tiny_patch16_224", [f"model.blocks.{k}" for k in range(3, 12)]),
    ],
)
def test_the_last_stages_of_other_backbones(name: str, expected: list[str]) -> None:
    backbone = timm.create_model(name, features_only=True)
    assert last_stages(backbone, 3) == tuple(expected)
    assert apply_svf(backbone, last_stages(backbone, 1))


def test_batchnorm_keeps_its_statistics_in_training_until_it_is_folded() -> None:
    backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3))
    apply_svf(backbone, ["2"])
    before = {name: value.clone() for name, value in backbone.named_buffers() if "running" in name}
    images = torch.randn(2, 3, 64, 64)
    backbone.train()(images).sum().backward()
    assert all(torch.equal(value, backbone.get_buffer(name)) for name, value in before.items())
    trained = [name for name, p in backbone.named_parameters() if p.requires_grad]
    assert trained == ["2.parametrizations.weight.original"]
    fold(backbone).train()(images)
    assert not all(torch.equal(value, backbone.get_buffer(name)) for name, value in before.items())


def test_state_is_the_vectors_alone_and_goes_into_a_copy() -> None:
    backbone = timm.create_model("test_resnet", features_only=True).eval()
    other = copy.deepcopy(backbone)
    vectors = apply_svf(backbone, last_stages(backbone, 3))
    apply_svf(other, last_stages(other, 3))
    with torch.no_grad():
        for vector in vectors:
            vector.mul_(1 + 0.1 * torch.rand_like(vector))
    state = svf_state(backbone)
    assert len(state) == len(vectors) == len(list(svf_layers(backbone)))
    images = torch.randn(1, 3, 64, 64)
    assert relative(other(images)[-1], backbone(images)[-1]) > 1e-3
    load_svf_state(other, state)
    assert torch.equal(other(images)[-1], backbone(images)[-1])
    assert relative(fold(other)(images)[-1], backbone(images)[-1]) < 1e-5
    with pytest.raises(SpecError, match="are of another backbone"):
        load_svf_state(backbone, {"x": torch.ones(1)})


def test_mistakes_are_told() -> None:
    with pytest.raises(SpecError, match="has no module 'layer9'; its first level"):
        apply_svf(timm.create_model("resnet18", features_only=True), ["layer9"])
    with pytest.raises(SpecError, match="nothing could be tuned"):
        apply_svf(nn.Sequential(nn.ReLU()), ["0"])
    twice = nn.Sequential(nn.Conv2d(3, 4, 3))
    apply_svf(twice, ["0"])
    with pytest.raises(SpecError, match="decomposed already; fold it first"):
        apply_svf(twice, ["0"])
    with pytest.raises(SpecError, match="cannot take the last 9"):
        last_stages(timm.create_model("resnet18", features_only=True), 9)
