"""Few-shot heads by name. Nothing of torch is loaded before one is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wilss.fewshot.heads.spec import AsppSpec, BamSpec, CwtSpec, IpmtSpec, PfenetSpec
from wilss.section import Section

if TYPE_CHECKING:
    from torch import nn

    from wilss.fewshot.spec import FewShotSpec


@dataclass(frozen=True)
class HeadEntry:
    """A head by name.

    build: makes it from the specification and the channels of c2 to c5. settings: its section of the specification,
    which bears its name; None for a head without any. trained: whether it learns anything. stage1: whether it builds
    upon a PSPNet of the base classes. version, source: of its code, see `wilss.digest.code_version`.
    """

    name: str
    build: Callable[[FewShotSpec, Sequence[int]], nn.Module]
    settings: type[Section] | None = None
    trained: bool = True
    stage1: bool = False
    version: int = 1
    source: str = ""


def _aspp(spec: FewShotSpec, channels: Sequence[int]) -> nn.Module:
    from wilss.fewshot.heads.aspp import AsppHead

    return AsppHead(channels, spec.aspp)


def _pfenet(spec: FewShotSpec, channels: Sequence[int]) -> nn.Module:
    from wilss.fewshot.heads.pfenet import PfenetHead

    return PfenetHead(channels, spec.pfenet)


def _bam(spec: FewShotSpec, channels: Sequence[int]) -> nn.Module:
    from wilss.fewshot.heads.bam import BamHead

    return BamHead(channels, spec.bam, spec.shots)


def _cwt(spec: FewShotSpec, channels: Sequence[int]) -> nn.Module:
    from wilss.fewshot.heads.cwt import CwtHead

    return CwtHead(channels, spec.cwt, spec.psp.channels)


def _ipmt(spec: FewShotSpec, channels: Sequence[int]) -> nn.Module:
    from wilss.fewshot.heads.ipmt import IpmtHead

    return IpmtHead(channels, spec.ipmt)


def _prior(spec: FewShotSpec, channels: Sequence[int]) -> nn.Module:
    from wilss.fewshot.heads.baselines import UntrainedHead, prior_score

    return UntrainedHead(prior_score)


def _prototype(spec: FewShotSpec, channels: Sequence[int]) -> nn.Module:
    from wilss.fewshot.heads.baselines import UntrainedHead, prototype_score

    return UntrainedHead(prototype_score)


HEADS: dict[str, HeadEntry] = {
    entry.name: entry
    for entry in (
        HeadEntry("aspp", _aspp, AsppSpec),
        HeadEntry("pfenet", _pfenet, PfenetSpec),
        HeadEntry("bam", _bam, BamSpec, stage1=True),
        HeadEntry("cwt", _cwt, CwtSpec, stage1=True),
        HeadEntry("ipmt", _ipmt, IpmtSpec),
        HeadEntry("prior", _prior, trained=False),
        HeadEntry("prototype", _prototype, trained=False),
    )
}
"""All that is known of a head outside of its own files."""
