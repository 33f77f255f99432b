"""Our few-shot heads keep the contract of heads, and the suite notices those that do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from wilss.fewshot.heads.aspp import AsppHead
from wilss.fewshot.heads.bam import BamHead
from wilss.fewshot.heads.contract import HeadInput, HeadOutput
from wilss.fewshot.heads.cwt import CwtHead
from wilss.fewshot.heads.ipmt import IpmtHead
from wilss.fewshot.heads.pfenet import PfenetHead
from wilss.fewshot.heads.spec import AsppSpec, BamSpec, CwtSpec, IpmtSpec, PfenetSpec
from wilss.testing import HeadContract


class TestAspp(HeadContract):
    def make(self, channels: Sequence[int], shots: int) -> nn.Module:
        return AsppHead(channels, AsppSpec(channels=8, rates=(1, 3)))


class TestPfenet(HeadContract):
    def make(self, channels: Sequence[int], shots: int) -> nn.Module:
        return PfenetHead(channels, PfenetSpec(channels=8))


class TestBam(HeadContract):
    def make(self, channels: Sequence[int], shots: int) -> nn.Module:
        return BamHead(channels, BamSpec(channels=8, rates=(1, 3)), shots)


class TestCwt(HeadContract):
    def make(self, channels: Sequence[int], shots: int) -> nn.Module:
        return CwtHead(channels, CwtSpec(inner_steps=3), self.decode_channels)


class TestIpmt(HeadContract):
    def make(self, channels: Sequence[int], shots: int) -> nn.Module:
        return IpmtHead(channels, IpmtSpec(dim=8, hidden=16, layers=2))


def aspp(channels: Sequence[int], shots: int) -> nn.Module:
    return AsppHead(channels, AsppSpec(channels=8, rates=(1, 3)))


class Wrong(AsppHead):
    def __init__(self, channels: Sequence[int], shots: int) -> None:
        super().__init__(channels, AsppSpec(channels=8, rates=(1, 3)))


class SeesOthers(Wrong):
    def forward(self, inputs: HeadInput) -> HeadOutput:
        output = super().forward(inputs)
        return replace(output, logits=output.logits - output.logits.mean(0, keepdim=True))


class OneChannel(Wrong):
    def forward(self, inputs: HeadInput) -> HeadOutput:
        output = super().forward(inputs)
        return replace(output, logits=output.logits[:, :1])


class DividesByTheMask(Wrong):
    def forward(self, inputs: HeadInput) -> HeadOutput:
        output = super().forward(inputs)
        return replace(output, logits=output.logits / (inputs.support_mask == 1).float().sum())


class Fixed(Wrong):
    def losses(self, output: HeadOutput, batch: Any) -> dict[str, torch.Tensor]:
        return {"loss": 0 * super().losses(output, batch)["loss"]}


@pytest.mark.parametrize(
    ("head", "check"),
    [
        (SeesOthers, lambda s: s.test_an_episode_does_not_see_the_others_and_nothing_is_random_in_evaluation()),
        (OneChannel, lambda s: s.test_it_gives_background_and_foreground_of_any_map_and_any_shots((7, 7), 1)),
        (DividesByTheMask, lambda suite: suite.test_an_empty_support_is_no_error()),
        (Fixed, lambda suite: suite.test_it_learns()),
    ],
)
def test_the_suite_notices_a_head_that_breaks_the_contract(head: Any, check: Callable[[Any], None]) -> None:
    for make in (aspp, head):
        suite = type("Suite", (HeadContract,), {"make": staticmethod(make)})()
        if make is aspp:
            check(suite)
        else:
            with pytest.raises(AssertionError):
                check(suite)
