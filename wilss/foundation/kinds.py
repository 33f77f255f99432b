"""Kinds of scorers and groupers: the word before the colon in a name. Torch is loaded only when one is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wilss.digest import code_version
from wilss.errors import SpecError, did_you_mean
from wilss.foundation.spec import FoundationSpec


@dataclass(frozen=True)
class Kind:
    """A kind of scorer or grouper.

    build: makes it from its settings, a local folder of weights or None, and the device's name.
    version, source: of its code, see `wilss.digest.code_version`; our own builders put them into their digests, those
    of a kind that was registered are put into its. background: whether a scorer reads ``foundation.background``.
    """

    name: str
    build: Callable[[FoundationSpec, Path | None, str], Any]
    version: int = 1
    source: str = ""
    registered: bool = False
    background: bool = True

    @property
    def code(self) -> dict[str, int | str]:
        """Facts on its code."""
        return code_version(self.version, self.source)


def kind_of(name: str, kinds: Mapping[str, Kind], role: str) -> Kind:
    """The kind of a model's name, such as "clip:scenes". Raises SpecError with the closest kind."""
    kind, separator, model = name.partition(":")
    if kind not in kinds or not separator or not model:
        raise SpecError(
            f"'{name}' is no {role}; write one of {', '.join(f'{k}:MODEL' for k in kinds)}.{did_you_mean(kind, kinds)}"
        )
    return kinds[kind]


def kinds_of(spec: FoundationSpec) -> tuple[Kind, ...]:
    """Those of the scorer and the grouper of a specification that are known."""
    named = ((SCORERS, spec.scorer), (GROUPERS, spec.grouper))
    return tuple(kinds[kind] for kinds, name in named if (kind := name.partition(":")[0]) in kinds)


def _clip(spec: FoundationSpec, folder: Path | None, device: str) -> Any:
    from wilss.foundation.zoo import clip_scorer

    return clip_scorer(spec, folder, device)


def _classifier(spec: FoundationSpec, folder: Path | None, device: str) -> Any:
    from wilss.foundation.zoo import classifier_scorer

    return classifier_scorer(spec, folder, device)


def _attention(spec: FoundationSpec, folder: Path | None, device: str) -> Any:
    from wilss.foundation.zoo import attention_grouper

    return attention_grouper(spec, folder, device)


def _features(spec: FoundationSpec, folder: Path | None, device: str) -> Any:
    from wilss.foundation.zoo import feature_grouper

    return feature_grouper(spec, folder, device)


SCORERS: dict[str, Kind] = {
    "clip": Kind("clip", _clip),
    "classifier": Kind("classifier", _classifier, background=False),
}
GROUPERS: dict[str, Kind] = {"dino": Kind("dino", _attention), "features": Kind("features", _features)}
WELL_KNOWN = (
    "clip:scenes",
    "clip:scenes-vit",
    "dino:scenes",
    "clip:ViT-B-16/openai",
    "clip:ViT-B-16/laion2b_s34b_b88k",
    "clip:RN50/openai",
    "clip:convnext_base_w/laion2b_s13b_b82k",
    "clip:ViT-B-16-SigLIP/webli",
    "classifier:mobilenetv2_100",
    "classifier:tf_efficientnet_lite2",
    "classifier:resnet50",
    "dino:vit_base_patch16_224.dino",
    "dino:vit_small_patch8_224.dino",
    "dino:vit_base_patch14_dinov2.lvd142m",
    "dino:vit_base_patch14_reg4_dinov2.lvd142m",
    "dino:vit_base_patch16_dinov3.lvd1689m",
    "features:deit_tiny_patch16_224",
    "features:resnet50",
)
"""Names to start from; every other name of open_clip or timm works as well."""
