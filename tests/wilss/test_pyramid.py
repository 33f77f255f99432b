import pytest
import torch

from wilss.errors import SpecError
from wilss.fewshot.pyramid import PyramidBackbone
from wilss.nets.pretrained import find_weights


def pyramid(model: str, **arguments: object) -> PyramidBackbone:
    return PyramidBackbone(find_weights(model, "none", None), **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("side", "expected"), [(473, 60), (641, 81), (417, 53)])
def test_a_resnet_has_its_last_three_maps_at_stride_8(side: int, expected: int) -> None:
    with torch.device("meta"):
        backbone = pyramid("resnet50s").to("meta")
        maps = backbone(torch.zeros(1, 3, side, side))
    assert [m.shape[-1] for m in maps] == [(side - 1) // 4 + 1, expected, expected, expected]
    assert [m.shape[1] for m in maps] == list(backbone.channels) == [256, 512, 1024, 2048]


def test_a_vgg_halves_its_last_two_maps_and_rounds_up() -> None:
    with torch.device("meta"):
        maps = pyramid("vgg16_bn").to("meta")(torch.zeros(1, 3, 473, 473))
    assert [m.shape[-1] for m in maps] == [119, 60, 30, 30]
    assert [m.shape[1] for m in maps] == [128, 256, 512, 512]


@pytest.mark.parametrize("model", ["resnet_scenes", "mobilenetv2_100"])
def test_the_last_stage_run_alone_gives_c5(model: str) -> None:
    backbone = pyramid(model).eval()
    with torch.no_grad():
        maps = backbone(torch.randn(2, 3, 65, 65))
        assert torch.equal(backbone.last_stage(maps.c4), maps.c5)


def test_maps_are_those_of_timm() -> None:
    backbone = pyramid("mobilenetv2_100").eval()
    images = torch.randn(1, 3, 65, 65)
    with torch.no_grad():
        ours, theirs = backbone(images), backbone.body(backbone.normalise(images))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs[1:], strict=True))


def test_training_mode_leaves_batchnorm_as_it_is() -> None:
    backbone = pyramid("resnet_scenes")
    before = {name: buffer.clone() for name, buffer in backbone.named_buffers()}
    for _ in range(10):
        backbone.train()
        backbone(torch.randn(2, 3, 33, 33)).c5.sum().backward()
    assert all(torch.equal(before[name], buffer) for name, buffer in backbone.named_buffers())
    trained = pyramid("resnet_scenes", train_batchnorm=True).train()
    trained(torch.randn(2, 3, 33, 33))
    assert any(not torch.equal(before[name], buffer) for name, buffer in trained.named_buffers())


def test_every_block_of_the_last_stages_may_dilate_as_in_pfenet() -> None:
    plain, every = pyramid("resnet50s"), pyramid("resnet50s", dilation="every")
    rates = [[b.body.get_submodule(f"layer{k}.0.conv2").dilation[0] for k in (3, 4)] for b in (plain, every)]
    assert rates == [[1, 2], [2, 4]]
    coarse = pyramid("resnet50s", dilation="every", output_stride=16)
    assert [coarse.body.get_submodule(f"layer{k}.0.conv2").dilation[0] for k in (3, 4)] == [1, 2]
    with torch.no_grad():
        assert coarse(torch.randn(1, 3, 65, 65)).c5.shape[-1] == 5


@pytest.mark.parametrize(("model", "stride"), [("resnet_scenes", 8), ("mobilenetv2_100", 8), ("resnet50s", 32)])
def test_dilation_without_effect_is_refused(model: str, stride: int) -> None:
    with pytest.raises(SpecError, match=r"dilation 'every'.*set it to 'first-plain'"):
        pyramid(model, dilation="every", output_stride=stride)


@pytest.mark.parametrize("model", ["vit_scenes", "vgg11_bn"])
def test_a_model_that_is_no_sequence_of_stages_is_refused_in_words(model: str) -> None:
    with pytest.raises(SpecError, match="choose"):
        pyramid(model)
