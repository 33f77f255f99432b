"""From a specification to networks: backbone, stage-1 PSPNet, head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from wilss.fewshot.aspp import AsppHead
from wilss.fewshot.bam import BamHead
from wilss.fewshot.baselines import UntrainedHead, prior_score, prototype_score
from wilss.fewshot.contract import Head
from wilss.fewshot.cwt import CwtHead
from wilss.fewshot.ipmt import IpmtHead
from wilss.fewshot.model import FewShotModel
from wilss.fewshot.pfenet import PfenetHead
from wilss.fewshot.spec import FewShotSpec
from wilss.fewshot.views import SupportViews
from wilss.nets.fit import load_into
from wilss.nets.pretrained import Weights
from wilss.nets.psp import PspNet
from wilss.nets.pyramid import PyramidBackbone

Channels = Sequence[int]


@dataclass(frozen=True)
class HeadEntry:
    """How a head is made, and which section of the specification holds its settings.

    version: of its code, see `wilss.digest.code_version`.
    """

    make: Callable[[FewShotSpec, Channels], nn.Module]
    section: str | None
    version: int = 1


HEADS: dict[str, HeadEntry] = {
    "aspp": HeadEntry(lambda spec, channels: AsppHead(channels, spec.aspp), "aspp"),
    "pfenet": HeadEntry(lambda spec, channels: PfenetHead(channels, spec.pfenet), "pfenet"),
    "bam": HeadEntry(lambda spec, channels: BamHead(channels, spec.bam, spec.shots), "bam"),
    "cwt": HeadEntry(lambda spec, channels: CwtHead(channels, spec.cwt, spec.psp.channels), "cwt"),
    "ipmt": HeadEntry(lambda spec, channels: IpmtHead(channels, spec.ipmt), "ipmt"),
    "prior": HeadEntry(lambda spec, channels: UntrainedHead(prior_score), None),
    "prototype": HeadEntry(lambda spec, channels: UntrainedHead(prototype_score), None),
}


def build_pyramid(spec: FewShotSpec, weights: Weights, train_batchnorm: bool) -> PyramidBackbone:
    """The backbone with its own weights. Raises SpecError for one that cannot be divided into stages."""
    return PyramidBackbone(weights, spec.backbone.output_stride, spec.backbone.dilation, train_batchnorm)


def build_stage1(spec: FewShotSpec, weights: Weights, n_base: int) -> PspNet:
    """An untrained PSPNet over ``n_base`` classes; all of it learns, BatchNorm too."""
    return PspNet(build_pyramid(spec, weights, True), n_base, spec.psp)


def build_shapes(spec: FewShotSpec, weights: Weights) -> PspNet:
    """An untrained PSPNet over random silhouettes; all of it learns, BatchNorm too. The specification has shapes."""
    assert spec.shapes is not None
    return PspNet(build_pyramid(spec, weights, True), spec.shapes.silhouettes, spec.shapes.psp)


def build_model(spec: FewShotSpec, weights: Weights, n_base: int, stage1: Mapping[str, Tensor] | None) -> FewShotModel:
    """An untrained few-shot model.

    Args:
        stage1: state of the trained PSPNet, for specifications that need one.
    """
    backbone = build_pyramid(spec, weights, spec.backbone.train_batchnorm)
    net = None
    if stage1 is not None:
        net = build_stage1(spec, weights, n_base)
        load_into(net, stage1, "the stored stage 1")
        if spec.start == "base":
            backbone.load_state_dict(net.backbone.state_dict())
    head = HEADS[spec.head].make(spec, backbone.channels)
    built_upon = net if cast(Head, head).stage1 else None
    shared = spec.start == "base" and spec.train.tuning == "frozen"
    views = SupportViews(spec.cwt.mirror, spec.cwt.turns) if spec.head == "cwt" else SupportViews()
    return FewShotModel(backbone, head, built_upon, shared, views)
