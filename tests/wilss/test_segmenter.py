"""Students on other backbones."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch

from wilss.errors import SpecError
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import Segmenter, StudentSpec, build_segmenter


def student(backbone: str, stride: int) -> Segmenter:
    spec = StudentSpec(backbone=backbone, weights="none", output_stride=stride, aspp_channels=8, aspp_rates=(1, 2))
    return build_segmenter(spec, find_weights(backbone, "none", None), (3,)).eval()


def test_a_vit_pads_to_whole_patches() -> None:
    model = student("vit_tiny_patch16_224", 16)
    assert model.in_channels == 192
    assert model(torch.randn(1, 3, 40, 56)).shape == (1, 4, 3, 4)
    assert model.predict(torch.randn(1, 3, 40, 56)).shape == (1, 40, 56)


@pytest.mark.parametrize(("backbone", "stride"), [("mobilenetv2_100", 8), ("mobilenetv2_100", 16), ("resnet18", 16)])
def test_convolutional_backbones_keep_the_stride_that_was_asked_for(backbone: str, stride: int) -> None:
    assert student(backbone, stride)(torch.randn(1, 3, 64, 96)).shape == (1, 4, 64 // stride, 96 // stride)


@pytest.mark.parametrize(
    ("backbone", "stride", "message"),
    [
        ("vit_tiny_patch16_224", 8, "has output stride 16, not 8"),
        ("swin_tiny_patch4_window7_224", 16, "does not take output_stride=16"),
        ("vgg11_bn", 16, "does not take output_stride=16"),  # timm asserts there
    ],
)
def test_impossible_strides_are_refused(backbone: str, stride: int, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        student(backbone, stride)


def test_weights_of_a_real_vit_arrive(real_data: Path) -> None:
    name = "deit_tiny_patch16_224"
    weights = find_weights(name, "auto", real_data / "weights")
    spec = StudentSpec(backbone=name, output_stride=16, aspp_channels=8)
    model = build_segmenter(spec, weights, (3,)).eval()
    plain = timm.create_model(name, checkpoint_path=str(real_data / "weights" / f"{name}.safetensors"))
    images = torch.randn(1, 3, 224, 224)
    expected = plain.eval().forward_intermediates(images, indices=[-1], intermediates_only=True)[0]
    assert torch.allclose(model.features(images), expected, atol=1e-5)
