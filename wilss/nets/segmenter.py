"""The student: a timm backbone, ASPP and a classifier that grows by one 1x1 convolution a step."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any, cast

import torch
from torch import Tensor, nn

from wilss.errors import SpecError
from wilss.nets.aspp import ASPP
from wilss.nets.blocks import dilate_first_blocks, leak
from wilss.nets.normalise import Normalise
from wilss.nets.pretrained import Weights, build
from wilss.nets.spec import StudentSpec


class Segmenter(nn.Module):
    """Logits ``(N, 1 + classes, h, w)`` at feature resolution; channel 0 is background, then the classes step by step.

    It takes plain images: float32 ``(N, 3, H, W)`` in [0, 1].

    Args:
        backbone: a timm ``features_only`` model; its last map is used.
        normalise: what stands before the backbone.
        step_sizes: number of foreground classes of each step so far.
    """

    def __init__(self, backbone: nn.Module, normalise: Normalise, spec: StudentSpec, step_sizes: Sequence[int]) -> None:
        super().__init__()
        self.spec = spec
        self.normalise = normalise
        self.backbone = backbone
        self.in_channels = int(cast(Any, backbone).feature_info.channels()[-1])
        self.aspp = ASPP(self.in_channels, spec.aspp_channels, spec.aspp_rates)
        self.classifiers = nn.ModuleList()
        for step, size in enumerate(step_sizes):
            self.classifiers.append(self._classifier(size + (step == 0)))
        self.spare = self._classifier(n) if (n := max(0, spec.spare_rows - sum(step_sizes[1:]))) else None

    @property
    def step_sizes(self) -> tuple[int, ...]:
        """Foreground classes learnt at each step."""
        widths = [cast(nn.Conv2d, layer).out_channels for layer in self.classifiers]
        return (widths[0] - 1, *widths[1:])

    def grow(self, n_new: int) -> None:
        """Add a classifier for ``n_new`` classes, of spare rows first; the old channels keep their weights.

        Raises ValueError when ``n_new`` is below one.
        """
        if n_new < 1:
            raise ValueError(f"cannot grow by {n_new} classes; a step brings at least one")
        new = self._classifier(n_new).to(next(self.parameters()).device)
        if self.spare is not None:
            self.spare = _move_rows(self.spare, new)
        self.classifiers.append(new)

    def features(self, images: Tensor) -> Tensor:
        """Backbone feature ``(N, C_in, h, w)`` of images ``(N, 3, H, W)`` in [0, 1]."""
        return self.backbone(self.normalise(images))[-1]

    def classify(self, features: Tensor) -> Tensor:
        """Logits ``(N, 1 + classes, h, w)`` from backbone features."""
        embedded = self.aspp(features)
        return torch.cat([layer(embedded) for layer in self.classifiers], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(N, 1 + classes, h, w)`` of images ``(N, 3, H, W)`` in [0, 1]."""
        return self.classify(self.features(images))

    def with_spare(self, images: Tensor) -> Tensor:
        """Logits ``(N, 1 + classes + spare rows, h, w)``: what the base step trains, spare rows to see nothing."""
        embedded = self.aspp(self.features(images))
        layers = [*self.classifiers, self.spare] if self.spare is not None else self.classifiers
        return torch.cat([layer(embedded) for layer in layers], 1)

    def classifier_parameters(self) -> tuple[Tensor, Tensor]:
        """Weights ``(1 + classes, aspp_channels, 1, 1)`` and biases ``(1 + classes,)`` of all steps' classifiers."""
        layers = [cast(nn.Conv2d, layer) for layer in self.classifiers]
        return torch.cat([layer.weight for layer in layers]), torch.cat([cast(Tensor, layer.bias) for layer in layers])

    def merge_classifiers(self) -> None:
        """Join the classifiers of all steps into one; the outputs stay the same. Taken spare rows come anew."""
        weight, bias = self.classifier_parameters()
        joined = nn.Conv2d(weight.shape[1], len(weight), 1).to(weight.device)
        joined.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
        self.classifiers = nn.ModuleList([joined])
        if self.spec.spare_rows:
            ready, self.spare = self.spare, self._classifier(self.spec.spare_rows).to(weight.device)
            if ready is not None:
                _move_rows(ready, self.spare)

    def _classifier(self, channels: int) -> nn.Conv2d:
        layer = nn.Conv2d(self.spec.aspp_channels, channels, 1)
        nn.init.normal_(layer.weight, std=0.01)
        assert layer.bias is not None
        nn.init.constant_(layer.bias, log(self.spec.prior / (1 - self.spec.prior)))
        return layer


@torch.no_grad()
def _move_rows(rows: nn.Conv2d, to: nn.Conv2d) -> nn.Conv2d | None:
    """Write the first rows over those of ``to``, as many as fit; what is left of them, None where nothing is."""
    n = min(rows.out_channels, to.out_channels)
    for source, target in zip(rows.parameters(), to.parameters(), strict=True):
        target[:n] = source[:n]
    if n == rows.out_channels:
        return None
    left = nn.Conv2d(rows.in_channels, rows.out_channels - n, 1).to(rows.weight.device)
    for source, target in zip(rows.parameters(), left.parameters(), strict=True):
        target.copy_(source[n:])
    return left


def build_segmenter(spec: StudentSpec, weights: Weights, step_sizes: Sequence[int]) -> Segmenter:
    """A student on ``spec.backbone`` with its weights loaded.

    Raises SpecError when the backbone has no such output stride.
    """
    return Segmenter(build_backbone(spec, weights), Normalise(weights.mean, weights.std), spec, step_sizes)


def build_backbone(spec: StudentSpec, weights: Weights) -> nn.Module:
    """The backbone as a timm ``features_only`` model: convolutional with dilation up to the stride, or a ViT of it.

    A ViT pads images to whole patches. Raises SpecError when the backbone has no such output stride, no stages whose
    first block could dilate, or no ReLU that could leak.
    """
    backbone = _strided(spec, weights)
    if spec.dilation == "every":
        dilate_first_blocks(backbone)
    if spec.activation == "leaky_relu":
        leak(backbone)
    return backbone


def _strided(spec: StudentSpec, weights: Weights) -> nn.Module:
    try:
        backbone = build(weights, features_only=True, output_stride=spec.output_stride)
    except (TypeError, AssertionError) as error:  # some of timm's families assert the strides they have
        backbone = _unstrided(spec, weights, str(error))
    if getattr(backbone, "output_fmt", "NCHW") != "NCHW":  # before timm 1.0.31 some take the argument and ignore it
        raise _without_stride(spec, "its maps have channels last")
    stride = int(cast(Any, backbone).feature_info.reduction()[-1])
    if stride != spec.output_stride:
        raise SpecError(f"backbone '{spec.backbone}' has output stride {stride}, not {spec.output_stride}; set it so")
    return backbone


def _unstrided(spec: StudentSpec, weights: Weights, reason: str) -> nn.Module:
    try:
        return build(weights, features_only=True, dynamic_img_size=True, dynamic_img_pad=True)
    except (TypeError, AssertionError) as error:
        raise _without_stride(spec, reason) from error


def _without_stride(spec: StudentSpec, reason: str) -> SpecError:
    return SpecError(
        f"backbone '{spec.backbone}' does not take output_stride={spec.output_stride} ({reason}); choose a "
        "convolutional timm backbone such as resnet50 or mobilenetv2_100, or a plain ViT"
    )
