"""Students on other backbones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wilss.errors import SpecError
from wilss.learn.base import MaskedBatch, _FromMasks
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import Segmenter, build_segmenter
from wilss.nets.spec import StudentSpec
from wilss.spec import make_spec


def student(backbone: str, stride: int, **blocks: Any) -> Segmenter:
    sizes = {"output_stride": stride, "aspp_channels": 8, "aspp_rates": (1, 2)}
    spec = StudentSpec(backbone=backbone, weights="none", **sizes, **blocks)
    return build_segmenter(spec, find_weights(backbone, "none", None), (3,)).eval()


def test_a_vit_pads_to_whole_patches() -> None:
    model = student("vit_tiny_patch16_224", 16)
    assert model.in_channels == 192
    assert model(torch.randn(1, 3, 40, 56)).shape == (1, 4, 3, 4)


@pytest.mark.parametrize(("backbone", "stride"), [("mobilenetv2_100", 8), ("mobilenetv2_100", 16), ("resnet18", 16)])
def test_convolutional_backbones_keep_the_stride_that_was_asked_for(backbone: str, stride: int) -> None:
    assert student(backbone, stride)(torch.randn(1, 3, 64, 96)).shape == (1, 4, 64 // stride, 96 // stride)


@pytest.mark.parametrize(
    ("backbone", "stride", "message"),
    [
        ("vit_tiny_patch16_224", 8, "has output stride 16, not 8"),
        ("swin_tiny_patch4_window7_224", 16, "does not take output_stride=16"),
        ("swin_tiny_patch4_window7_224", 32, "does not take output_stride=32"),  # older timm builds it, channels last
        ("poolformer_s12", 16, "output.stride"),  # older timm builds it with 32
        ("vgg11_bn", 16, "does not take output_stride=16"),  # timm asserts there
    ],
)
def test_impossible_strides_are_refused(backbone: str, stride: int, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        student(backbone, stride)


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.01 * x)


def wilson_body(state: dict[str, Tensor], x: Tensor, dilations: tuple[int, ...]) -> Tensor:
    """A bottleneck ResNet whose stages with a dilation have no stride and dilate in every block, with leaky ReLU."""

    def step(x: Tensor, conv: str, norm: str, stride: int = 1, dilation: int = 1) -> Tensor:
        weight = state[f"{conv}.weight"]
        x = F.conv2d(x, weight, None, stride, dilation * (weight.shape[-1] // 2), dilation)
        shift, spread = state[f"{norm}.running_mean"], (state[f"{norm}.running_var"] + 1e-5).sqrt()
        x = (x - shift[:, None, None]) / spread[:, None, None]
        return x * state[f"{norm}.weight"][:, None, None] + state[f"{norm}.bias"][:, None, None]

    x = F.max_pool2d(leaky(step(x, "conv1", "bn1", 2)), 3, 2, 1)
    for layer, dilation in enumerate(dilations, start=1):
        for block in range(2):
            at = f"layer{layer}.{block}"
            stride = 2 if layer > 1 and block == 0 and dilation == 1 else 1
            y = leaky(step(x, f"{at}.conv1", f"{at}.bn1"))
            y = leaky(step(y, f"{at}.conv2", f"{at}.bn2", stride, dilation))
            y = step(y, f"{at}.conv3", f"{at}.bn3")
            x = leaky(y + (step(x, f"{at}.downsample.0", f"{at}.downsample.1", stride) if block == 0 else x))
    return x


@pytest.mark.parametrize(("stride", "dilations"), [(16, (1, 1, 1, 2)), (8, (1, 1, 2, 4))])
def test_wilsons_blocks_equal_a_network_written_out(stride: int, dilations: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = student("resnet26", stride, dilation="every", activation="leaky_relu")
    for layer in model.backbone.modules():
        if isinstance(layer, nn.BatchNorm2d):  # else the last one of a block starts at zero
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias)
    images = torch.rand(1, 3, 96, 64)
    expected = wilson_body(model.backbone.state_dict(), model.normalise(images), dilations)
    torch.testing.assert_close(model.features(images), expected, rtol=1e-4, atol=1e-4)
    plain = student("resnet26", stride)
    plain.load_state_dict(model.state_dict())
    assert not torch.allclose(plain.features(images), expected, atol=0.1)


@pytest.mark.parametrize(
    ("backbone", "changes", "message"),
    [
        ("resnet18", {"dilation": "every"}, "'every' is for bottleneck ResNets; set it to 'first-plain'"),
        ("vit_tiny_patch16_224", {"activation": "leaky_relu"}, "is for networks with ReLU, .*set it to 'relu'"),
    ],
)
def test_blocks_that_a_backbone_has_not_are_refused(backbone: str, changes: dict[str, str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        student(backbone, 16, **changes)


def test_the_papers_presets_take_wilsons_blocks() -> None:
    for preset in ("paper", "paper-coco", "small", "demo"):
        spec = make_spec({"benchmark": "voc-15-5", "preset": preset}).student
        taken = ("every", "leaky_relu") if preset.startswith("paper") else ("first-plain", "relu")
        assert (spec.dilation, spec.activation) == taken


def test_weights_of_a_real_vit_arrive(real_data: Path) -> None:
    name = "deit_tiny_patch16_224"
    weights = find_weights(name, "auto", real_data / "weights")
    spec = StudentSpec(backbone=name, output_stride=16, aspp_channels=8)
    model = build_segmenter(spec, weights, (3,)).eval()
    plain = timm.create_model(name, checkpoint_path=str(real_data / "weights" / f"{name}.safetensors"))
    images = torch.rand(1, 3, 224, 224)
    expected = plain.eval().forward_intermediates(model.normalise(images), indices=[-1], intermediates_only=True)[0]
    assert torch.allclose(model.features(images), expected, atol=1e-5)


def test_classes_begin_with_the_rows_kept_ready_for_them() -> None:
    model, images = student("mobilenetv2_100", 16, spare_rows=3), torch.rand(1, 3, 32, 32)
    trained = model.with_spare(images)
    assert trained.shape[1] == 7
    assert torch.equal(model(images), trained[:, :4])
    model.grow(2)
    assert torch.equal(model(images), trained[:, :6])
    assert torch.equal(model.with_spare(images), trained)
    model.grow(2)
    assert model.spare is None
    assert model(images).shape[1] == 8
    assert torch.equal(model(images)[:, :7], trained), "the last row but one was ready, the last one is new"
    again = student("mobilenetv2_100", 16, spare_rows=3)
    again.grow(2)
    again.load_state_dict(built(again.spec, (3, 2)).state_dict())  # what a file of two steps holds fits


def test_joined_classifiers_have_their_spare_rows_again() -> None:
    model, images = student("mobilenetv2_100", 16, spare_rows=3), torch.rand(1, 3, 32, 32)
    model.grow(2)
    before = model.with_spare(images)
    model.merge_classifiers()
    assert torch.equal(model.with_spare(images)[:, :7], before)
    assert model.with_spare(images).shape[1] == 9
    model.load_state_dict(built(model.spec, (5,)).state_dict())


def test_the_base_step_teaches_spare_rows_to_see_nothing() -> None:
    model = student("mobilenetv2_100", 16, spare_rows=2)
    labels = torch.randint(0, 4, (2, 32, 32), dtype=torch.uint8)
    _FromMasks(model).losses(MaskedBatch(torch.rand(2, 3, 32, 32), labels), 0)["loss"].backward()
    assert model.spare is not None
    assert model.spare.bias is not None
    assert model.spare.bias.grad is not None
    assert (model.spare.bias.grad > 0).all()  # their outputs go down


def built(spec: StudentSpec, sizes: tuple[int, ...]) -> Segmenter:
    return build_segmenter(spec, find_weights("mobilenetv2_100", "none", None), sizes)
