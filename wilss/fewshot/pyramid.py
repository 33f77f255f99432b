"""A timm backbone as a pyramid of four maps, whose last stage can be run again on a changed input.

The prior mask of PFENet needs the last stage on masked features, which timm's own ``features_only`` does not offer.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple, cast

from torch import Tensor, nn

from wilss.errors import SpecError
from wilss.nets.batchnorm import freeze_batchnorm
from wilss.nets.blocks import dilate_first_blocks
from wilss.nets.normalise import Normalise
from wilss.nets.pretrained import Weights, build

VGG_POOLS = (6, 13, 23, 33)
"""Modules of a timm VGG-16-bn that end its first four groups; the last pool (43) is left out, as in PFENet."""


class MiddleFeatures(NamedTuple):
    """`Features` before the last stage."""

    c2: Tensor
    c3: Tensor
    c4: Tensor


class Features(NamedTuple):
    """Maps of N images: c2 ``(N, C2, H/4, W/4)``, c3 ``(N, C3, h, w)``, c4 ``(N, C4, h, w)``, c5 ``(N, C5, h, w)``.

    At output stride 8 an input of side S with (S - 1) % 8 == 0 has h = (S - 1) / 8 + 1. Of a VGG, c4 and c5 have half
    the size of c3.
    """

    c2: Tensor
    c3: Tensor
    c4: Tensor
    c5: Tensor


class PyramidBackbone(nn.Module):
    """Features of plain images, float32 ``(N, 3, H, W)`` in [0, 1].

    Args:
        weights: of a timm ResNet-, EfficientNet- or VGG-like model, whose stages follow one another.
        dilation: "first-plain" dilates as torchvision and timm do; "every" dilates the first block of a bottleneck
            ResNet's last two stages as the others of its stage, as PFENet, BAM and CWT do.
        train_batchnorm: let BatchNorm use and update batch statistics in training. False keeps its statistics, and
            `train` cannot undo that.

    Raises SpecError for a model that is no sequence of stages.
    """

    def __init__(
        self, weights: Weights, output_stride: int = 8, dilation: str = "first-plain", train_batchnorm: bool = False
    ) -> None:
        super().__init__()
        self.normalise = Normalise(weights.mean, weights.std)
        self.train_batchnorm = train_batchnorm
        is_vgg = weights.model.startswith("vgg")
        self.body = _build(weights, None if is_vgg else output_stride)
        info = cast(Any, self.body).feature_info
        self.channels: tuple[int, int, int, int] = tuple(info.channels()[1:5])
        if is_vgg:
            self.stages = _vgg_stages(self.body)
        else:
            self.stages = _stages(self.body, [str(name) for name in info.module_name()], weights.model)
        if dilation == "every":
            dilate_first_blocks(self.body)
        self.train()  # fixes BatchNorm before any optimiser takes its parameters

    def forward(self, images: Tensor) -> Features:
        """See the class."""
        maps = self.middle(images)
        return Features(*maps, self.last_stage(maps.c4))

    def middle(self, images: Tensor) -> MiddleFeatures:
        """All but the last stage, for images whose c5 nobody looks at."""
        maps = [self.normalise(images)]
        for names in self.stages[:-1]:
            maps.append(self._run(names, maps[-1]))
        return MiddleFeatures(*maps[2:])

    def last_stage(self, c4: Tensor) -> Tensor:
        """c5 ``(N, C5, h, w)`` from c4 ``(N, C4, h, w)``."""
        return self._run(self.stages[-1], c4)

    def _run(self, names: list[str], x: Tensor) -> Tensor:
        for name in names:
            x = self.body.get_submodule(name)(x)
        return x

    def stage_names(self, count: int) -> tuple[str, ...]:
        """Names of the modules of the last ``count`` stages, for `wilss.nets.svf.apply_svf`."""
        return tuple(f"body.{name}" for stage in self.stages[-count:] for name in stage)

    def train(self, mode: bool = True) -> PyramidBackbone:
        """BatchNorm stays in evaluation mode unless the backbone was made to train it."""
        super().train(mode)
        if not self.train_batchnorm:
            freeze_batchnorm(self)
        return self


def _build(weights: Weights, output_stride: int | None) -> nn.Module:
    arguments = {} if output_stride is None else {"output_stride": output_stride}
    try:
        return build(weights, features_only=True, **arguments)
    except (TypeError, AssertionError) as error:
        raise SpecError(
            f"backbone '{weights.model}' does not take output_stride={output_stride}; choose a ResNet, a MobileNet or "
            "EfficientNet, or vgg16_bn"
        ) from error


def _stages(body: nn.Module, ends: list[str], model: str) -> list[list[str]]:
    """Names of the modules between one feature map and the next, in the order in which they run."""
    units = [
        f"{name}.{inner}" if name == "blocks" else name
        for name, child in body.named_children()
        for inner, _ in (child.named_children() if name == "blocks" else [("", child)])
    ]
    if len(ends) != 5 or not set(ends) <= set(units):
        raise SpecError(
            f"backbone '{model}' has no five stages that follow one another (its maps: {', '.join(ends)}); choose a "
            "ResNet, a MobileNet or EfficientNet, or vgg16_bn"
        )
    bounds = [0, *(units.index(end) + 1 for end in ends)]
    return [units[a:b] for a, b in pairwise(bounds)]


def _vgg_stages(body: nn.Module) -> list[list[str]]:
    """PFENet's groups of VGG-16-bn; pools round up, so that 473 pixels become 60 and 30."""
    units = [name for name, _ in body.named_children()]
    if len(units) != 44:
        raise SpecError("of the VGGs only vgg16_bn is divided into stages here; choose it, or a ResNet")
    for module in body.modules():
        if isinstance(module, nn.MaxPool2d):
            module.ceil_mode = True
    bounds = [0, *(pool + 1 for pool in VGG_POOLS), 43]
    return [units[a:b] for a, b in pairwise(bounds)]
