"""From a specification to networks: backbone, stage-1 PSPNet, head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor, nn

from wilss.errors import SpecError
from wilss.fewshot.heads import HEADS
from wilss.fewshot.heads.contract import Head
from wilss.fewshot.heads.views import SupportViews
from wilss.fewshot.model import FewShotModel
from wilss.fewshot.psp import PspNet
from wilss.fewshot.pyramid import PyramidBackbone
from wilss.fewshot.spec import FewShotSpec
from wilss.members import HEAD, require_members
from wilss.nets.fit import load_into
from wilss.nets.pretrained import Weights


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
    head = _head(spec, backbone.channels)
    built_upon = net if cast(Head, head).stage1 else None
    shared = spec.start == "base" and spec.train.tuning == "frozen"
    views = SupportViews(spec.cwt.mirror, spec.cwt.turns) if spec.head == "cwt" else SupportViews()
    return FewShotModel(backbone, head, built_upon, shared, views)


def _head(spec: FewShotSpec, channels: Sequence[int]) -> nn.Module:
    """Raises SpecError for a registered head that lacks a member of its contract, or was not registered for stage 1."""
    head = HEADS[spec.head].build(spec, channels)
    if HEADS[spec.head].trained:
        require_members(head, HEAD, f"head '{spec.head}'")
    if cast(Head, head).stage1 and not HEADS[spec.head].stage1:
        raise SpecError(f"head '{spec.head}' builds upon stage 1; register it with stage1=True")
    return head
