"""Layers of the heads' blocks, written out: kinds, kernels, dilations, biases and dropout of the published networks."""

from __future__ import annotations

import pytest
from torch import nn

from wilss.fewshot.heads.aspp import AsppHead
from wilss.fewshot.heads.bam import BamHead
from wilss.fewshot.heads.ipmt import IpmtHead
from wilss.fewshot.heads.pfenet import PfenetHead
from wilss.fewshot.heads.spec import AsppSpec, BamSpec, IpmtSpec, PfenetSpec

CHANNELS = (8, 16, 32, 64)
REDUCE = "1x1, relu, drop 0.5"
MERGE = "1x1, relu"
REFINE = "3x3, relu, 3x3, relu"
CLASSIFY = "3x3, relu, drop 0.1, 1x1 bias"


def written(block: nn.Module) -> str:
    """The leaves of a block in order."""
    return ", ".join(_written(layer) for layer in block.modules() if not any(layer.children()))


def _written(layer: nn.Module) -> str:
    if isinstance(layer, nn.Conv2d):
        height, width = layer.kernel_size
        rate = layer.dilation[0]
        assert layer.stride == (1, 1)
        assert layer.padding == (rate * (height // 2),) * 2, "maps keep their size"
        return f"{height}x{width}" + f" rate {rate}" * (rate > 1) + " bias" * (layer.bias is not None)
    if isinstance(layer, nn.ReLU):
        return "relu"
    assert isinstance(layer, nn.Dropout2d), layer
    return f"drop {layer.p}"


ASPP = {
    "query": REDUCE,
    "support": REDUCE,
    "mix": MERGE,
    "pyramid": "1x1 bias, 1x1 bias, 3x3 rate 6 bias, 3x3 rate 12 bias, 3x3 rate 18 bias",
    "join": MERGE,
    "refine": REFINE,
    "classify": CLASSIFY,
}
PFENET = {
    "query": REDUCE,
    "support": REDUCE,
    "mix": ", ".join([MERGE] * 4),
    "previous": ", ".join([MERGE] * 3),
    "refine": ", ".join([REFINE] * 4),
    "classify_bins": ", ".join([CLASSIFY] * 4),
    "join": MERGE,
    "refine_joined": REFINE,
    "classify": CLASSIFY,
}
IPMT = {
    "query": REDUCE,
    "support": REDUCE,
    "mix_query": MERGE,
    "mix_support": MERGE,
    "refine_init": REFINE,
    "classify_init": CLASSIFY,
    "join": MERGE,
    "refine": REFINE,
    "classify": CLASSIFY,
}


@pytest.mark.parametrize(
    ("head", "blocks"),
    [
        (AsppHead(CHANNELS, AsppSpec()), ASPP),
        (BamHead(CHANNELS, BamSpec(), 1).meta, ASPP),
        (PfenetHead(CHANNELS, PfenetSpec()), PFENET),
        (IpmtHead(CHANNELS, IpmtSpec()), IPMT),
    ],
    ids=["aspp", "bam", "pfenet", "ipmt"],
)
def test_blocks_are_those_of_the_published_networks(head: nn.Module, blocks: dict[str, str]) -> None:
    assert {name: written(head.get_submodule(name)) for name in blocks} == blocks
    assert {name for name, _ in head.named_children()} - {"transformer"} == set(blocks), "none is left out"
