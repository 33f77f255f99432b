"""Which scorers of those at hand know the words of a benchmark best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import wilss._torchvision  # noqa: F401

import timm
from timm.data import ImageNetInfo, infer_imagenet_subset
from timm.models.vision_transformer import VisionTransformer

from wilss.foundation.classifier import match_prompts
from wilss.foundation.kinds import WELL_KNOWN
from wilss.foundation.spec import FoundationSpec
from wilss.nets.pretrained import model_class, pretrained_config

CLASSIFIER = "classifier:"
FALLBACK = f"{CLASSIFIER}mobilenetv2_100"
"""Where none is at hand: small, and timm's hub has its weights."""


@dataclass(frozen=True)
class Candidate:
    """A scorer whose weights are at hand.

    known: classes of the benchmark that it has words for; a CLIP reads any. bytes: of its weights.
    """

    name: str
    known: tuple[str, ...]
    bytes: int


def choose_scorer(spec: FoundationSpec, prompts: Mapping[str, tuple[str, ...]], folder: Path | None) -> tuple[str, str]:
    """The scorer that knows most of the classes; among equals a CLIP, else the two classifiers with most weights.

    Two are averaged: on photographs their masks are better than those of either.

    Args:
        spec: whose ``scorer_stride`` leaves out what cannot have it. prompts: class name -> words. folder: of weights.

    Returns:
        Its name, and a sentence that says what it knows and what it was chosen before.
    """
    found = sorted(_candidates(spec, prompts, folder), key=_rank, reverse=True)
    if not found:
        place = f"the folder of weights '{folder}'" if folder else "no folder of weights is named"
        return FALLBACK, f"scorer {FALLBACK}: {place + ' holds none' if folder else place}"
    first, *others = found
    second = next((one for one in others if _averaged(first, one)), None)
    name = f"{first.name}+{second.name.removeprefix(CLASSIFIER)}" if second else first.name
    others = [one for one in others if one is not second]
    unknown = sorted(prompts.keys() - set(first.known))
    lacks = f", not {', '.join(unknown)}" if unknown else ""
    before = f"; chosen before {', '.join(one.name for one in others)}" if others else ""
    who = "they know" if second else "it knows"
    return name, f"scorer {name}: {who} {len(first.known)} of {len(prompts)} classes{lacks}{before}"


def _averaged(first: Candidate, second: Candidate) -> bool:
    """Whether two are averaged: classifiers that know the same, and are not one network with other weights."""
    networks = {one.name.partition(".")[0] for one in (first, second)}
    both = all(one.name.startswith(CLASSIFIER) for one in (first, second))
    return both and len(networks) == 2 and first.known == second.known


def _rank(one: Candidate) -> tuple[int, bool, int, str]:
    return len(one.known), one.name.startswith("clip:"), one.bytes, one.name


def _candidates(
    spec: FoundationSpec, prompts: Mapping[str, tuple[str, ...]], folder: Path | None
) -> Iterator[Candidate]:
    if folder is None or not folder.is_dir():
        return
    clips = {name.removeprefix("clip:").replace("/", "-", 1): name for name in WELL_KNOWN if name.startswith("clip:")}
    for path in sorted((*folder.glob("*.safetensors"), *folder.glob("*.pt"))):
        size = path.stat().st_size
        if path.stem in clips:
            yield Candidate(clips[path.stem], tuple(prompts), size)
        elif path.suffix == ".safetensors" and (names := _classes_of(path.stem, spec)):
            known = tuple(name for name, words in prompts.items() if match_prompts(words, names))
            yield Candidate(f"{CLASSIFIER}{path.stem}", known, size)


def _classes_of(model: str, spec: FoundationSpec) -> tuple[str, ...]:
    """What an ImageNet classifier of timm tells apart; nothing where the model is none, or cannot have the stride."""
    if not timm.is_model(model.partition(".")[0]):
        return ()
    if spec.scorer_stride and issubclass(model_class(model), VisionTransformer):
        return ()
    subset = infer_imagenet_subset(pretrained_config(model).to_dict())
    info = ImageNetInfo(subset) if subset else None
    return tuple(str(info.index_to_description(k, detailed=False)) for k in range(info.num_classes())) if info else ()
