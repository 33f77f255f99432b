"""PSPNet against its equations, and the loss of stage 1."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tests.wilss.slow_operators import slow_conv, slow_pool, slow_resize
from wilss.errors import SpecError
from wilss.fewshot.psp import PspDecoder, PspNet, stage1_loss
from wilss.fewshot.pyramid import Features, PyramidBackbone
from wilss.fewshot.sections import PspSpec
from wilss.nets.pretrained import find_weights


def slow_batchnorm(maps: torch.Tensor, layer: torch.nn.BatchNorm2d, train: bool) -> torch.Tensor:
    out = torch.zeros_like(maps)
    for c in range(maps.shape[1]):
        values = maps[:, c]
        mean = values.mean() if train else layer.running_mean[c]
        variance = ((values - mean) ** 2).mean() if train else layer.running_var[c]
        out[:, c] = (values - mean) / (variance + layer.eps).sqrt() * layer.weight[c] + layer.bias[c]
    return out


def slow_decoder(decoder: PspDecoder, c5: torch.Tensor, bins: tuple[int, ...], train: bool) -> torch.Tensor:
    parts = [c5]
    for i, side in enumerate(bins):
        _, convolution, norm, _ = decoder.bins[i]
        maps = slow_batchnorm(slow_conv(slow_pool(c5, (side, side)), convolution), norm, train)
        parts.append(slow_resize(maps.clamp(min=0), tuple(c5.shape[-2:])))
    convolution, norm, _, _ = decoder.join
    return slow_batchnorm(slow_conv(torch.cat(parts, 1), convolution), norm, train).clamp(min=0)


def make_decoder(bins: tuple[int, ...] = (1, 2, 3, 6)) -> PspDecoder:
    """Small, in float64, with statistics and affine parameters that are not their initial ones."""
    torch.manual_seed(0)
    decoder = PspDecoder(8, PspSpec(channels=8, bins=bins, dropout=0)).double()
    for module in decoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean, module.running_var):
                torch.nn.init.uniform_(values, 0.5, 1.5)
    return decoder


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(("bins", "size"), [((1, 2, 3, 6), (7, 9)), ((1, 2), (13, 13)), ((6,), (5, 3))])
def test_decoder_equals_its_equations(bins: tuple[int, ...], size: tuple[int, int], train: bool) -> None:
    decoder = make_decoder(bins).train(train)
    c5 = torch.randn(3, 8, *size, dtype=torch.float64)
    with torch.no_grad():
        expected = slow_decoder(decoder, c5, bins, train)
        torch.testing.assert_close(decoder(c5), expected)


def test_parameter_count_on_a_resnet() -> None:
    with torch.device("meta"):
        decoder, classifier = PspDecoder(2048, PspSpec()), torch.nn.Conv2d(512, 16, 1)
    assert sum(p.numel() for module in (decoder, classifier) for p in module.parameters()) == 23_082_000


def test_a_single_image_cannot_be_trained_on() -> None:
    decoder, c5 = make_decoder(), torch.randn(1, 8, 7, 7, dtype=torch.float64)
    with pytest.raises(ValueError, match="more than 1 value"):
        decoder.train()(c5)
    assert decoder.eval()(c5).shape == (1, 8, 7, 7)


def make_net(bias: bool = True) -> PspNet:
    backbone = PyramidBackbone(find_weights("test_resnet", "none", None), train_batchnorm=True)
    return PspNet(backbone, 4, PspSpec(channels=16, classifier_bias=bias))


def test_net() -> None:
    torch.manual_seed(0)
    net, images = make_net().eval(), torch.randn(2, 3, 49, 65)
    with torch.no_grad():
        c5 = net.backbone(images).c5
        logits = net(images)
        assert net.bottleneck(c5).shape == (2, 16, 7, 9)
        assert logits.shape == (2, 5, 7, 9)
        torch.testing.assert_close(net.class_logits(c5), logits)
        torch.testing.assert_close(net.classifier(net.bottleneck(c5)), logits)
    assert make_net(bias=False).classifier.bias is None


@pytest.mark.parametrize("bias", [True, False])
def test_gradient_reaches_every_parameter(bias: bool) -> None:
    torch.manual_seed(0)
    net, labels = make_net(bias).train(), torch.randint(0, 5, (4, 49, 65)).to(torch.uint8)
    stage1_loss(net(torch.randn(4, 3, 49, 65)), labels, 0.1).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # timm starts the last BatchNorm of a residual branch at zero, so the branch has no gradient yet
        assert name.startswith("backbone.") or parameter.grad.any(), name
    assert any(p.grad is not None and p.grad.any() for p in net.backbone.parameters())


@pytest.mark.parametrize(("classes", "smoothing"), [(2, 0.0), (2, 0.1), (2, 0.5), (5, 0.0), (5, 0.1), (5, 0.8)])
def test_loss_spreads_smoothing_over_the_other_classes(classes: int, smoothing: float) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, classes, 3, 4)
    labels = torch.randint(0, classes, (2, 9, 7)).to(torch.uint8)
    labels[0, :4] = 255
    enlarged = slow_resize(logits.double(), (9, 7))
    losses = []
    for b, y, x in (labels != 255).nonzero().tolist():
        values = enlarged[b, :, y, x].tolist()
        norm = math.log(sum(math.exp(v) for v in values))
        own = int(labels[b, y, x])
        targets = [1 - smoothing if c == own else smoothing / (classes - 1) for c in range(classes)]
        losses.append(-sum(t * (v - norm) for t, v in zip(targets, values, strict=True)))
    expected = sum(losses) / len(losses)
    assert float(stage1_loss(logits, labels, smoothing)) == pytest.approx(expected, rel=1e-5)


def test_loss_without_a_labelled_pixel_is_zero_with_a_graph() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    value = stage1_loss(logits, torch.full((1, 9, 9), 255, dtype=torch.uint8), 0.1)
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_strided_losses_meet_the_logits_where_they_lie() -> None:
    """Logits that are a ramp over the map, labels that follow its sign: no pixel of a stride is on the wrong side."""
    backbone = PyramidBackbone(find_weights("test_resnet", "none", None))
    net = PspNet(backbone, 1, PspSpec(channels=16, aux_weight=0.5))
    ramp = torch.linspace(-1, 1, 7).expand(2, 1, 7, 7) * 200
    logits = torch.cat([-ramp, ramp], 1)
    labels = (torch.linspace(-1, 1, 49) > 0).to(torch.uint8).expand(2, 49, 49).clone()
    labels[:, :, 24] = 255
    maps = Features(*(torch.zeros(2, 1, 7, 7) for _ in range(4)))
    net.backbone = Returns(maps)
    net.class_logits = lambda _: logits
    net.auxiliary = Returns(logits)
    for stride in (1, 2, 4, 8):
        terms = net.losses(torch.zeros(2, 3, 49, 49), labels, stride=stride)
        assert float(terms["loss"]) < 1e-3
        assert float(terms["auxiliary"]) == pytest.approx(0.5 * float(terms["loss"]))
    with pytest.raises(SpecError, match="every 5th pixel"):
        net.losses(torch.zeros(2, 3, 49, 49), labels, stride=5)


class Returns(torch.nn.Module):
    """The same for every input."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def forward(self, _: torch.Tensor) -> Any:
        return self.value
