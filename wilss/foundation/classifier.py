"""An ImageNet classifier with named classes as scorer, for machines without CLIP weights.

Dense logits are the classifier applied to every cell, i.e. class activation maps (Zhou et al. 2016). A class is what
its prompts match among the classifier's own classes; all the others are evidence of background.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Literal

import wilss._torchvision  # noqa: F401

import torch
from timm.data import ImageNetInfo, infer_imagenet_subset
from torch import Tensor

from wilss.errors import SpecError
from wilss.foundation.contracts import Prompts, require_prompts
from wilss.foundation.imagenet_kinds import KINDS, NOT_KINDS, STAND_INS
from wilss.foundation.preprocess import prepare
from wilss.precision import autocast
from wilss.section import Precision


@dataclass(frozen=True)
class ClassifierScorer:
    """Evidence for the matched classes against that for all others, at every cell.

    "probability": the summed softmax of the matched classes, in [0, 1]. "margin": by how much the highest matched logit
    exceeds ``competition`` times the log-sum-exp of all unmatched logits, 0 where it does not; as large as logits get.

    Args:
        net: a timm classifier with ``forward_features`` and ``forward_head(pre_logits=...)``.
        names: lemma names of each output, e.g. "television, television system" (see `imagenet_names`).
        temperature: factor on the dense logits before either.
        scale: factor on the input size before the model sees it.
        precision: of the network; "auto" takes bf16 where the hardware has it.
    """

    net: Any
    names: tuple[str, ...]
    digest: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    stride: int
    temperature: float = 1.0
    evidence: Literal["probability", "margin"] = "probability"
    competition: float = 0.3
    scale: float = 1.0
    precision: Precision = "fp32"

    @torch.inference_mode()
    def scores(self, images_N3HW: Tensor, prompts: Prompts) -> Tensor:
        """See `wilss.foundation.contracts.Scorer.scores`."""
        require_prompts(prompts)
        images = prepare(images_N3HW, self.mean, self.std, self.scale, self.stride)
        with autocast(self.precision, images.device):
            features = self.net.forward_features(images)
            if features.ndim == 3:  # ViT: tokens without the prefix, back on the grid
                grid = (images.shape[-2] // self.stride, images.shape[-1] // self.stride)
                features = features[:, self.net.num_prefix_tokens :].transpose(1, 2).unflatten(2, grid)
            logits = _dense_logits(self.net, features)
        logits = self.temperature * logits.float()
        matched = _matched(tuple(tuple(group) for group in prompts), self.names)
        if self.evidence == "probability":
            probability = logits.softmax(1)
            maps = [probability[:, index].sum(1) for index in matched]
        else:
            total = logits.logsumexp(1)
            maps = [self._margin(logits, total, index) for index in matched]
        return torch.stack(maps, 1)

    def _margin(self, logits_NKhw: Tensor, total_Nhw: Tensor, matched: tuple[int, ...]) -> Tensor:
        """Highest matched logit over the weighted log-sum-exp of all unmatched ones, ``(N, h, w)``, not below 0."""
        if not matched:
            return torch.zeros_like(total_Nhw)
        mine = logits_NKhw[:, list(matched)]
        share = (mine.logsumexp(1) - total_Nhw).exp().clamp(max=1 - 1e-6)
        others = total_Nhw + torch.log1p(-share)  # log(sum of all - sum of mine), without a second pass over all
        return (mine.amax(1) - self.competition * others).relu()


def _dense_logits(net: Any, features: Tensor) -> Tensor:
    """Apply everything after the pooling to each cell: ``(N, D, h, w)`` -> ``(N, K, h, w)``."""
    n, _, h, w = features.shape
    cells = features.permute(0, 2, 3, 1).flatten(0, 2)[..., None, None]
    if hasattr(net, "num_prefix_tokens"):
        logits = net.head(net.head_drop(net.fc_norm(cells[..., 0, 0])))
    else:
        logits = net.forward_head(cells)
    return logits.view(n, h, w, -1).permute(0, 3, 1, 2)


def imagenet_names(net: Any) -> tuple[str, ...]:
    """Lemma names of an ImageNet classifier's classes, by timm's own metadata of that model.

    Raises SpecError for a model whose classes are no ImageNet label set that timm knows.
    """
    subset = infer_imagenet_subset(net)
    if subset is None:
        raise SpecError(
            f"a classifier with {getattr(net, 'num_classes', 'unknown')} outputs is no known ImageNet label set; "
            "use one trained on ImageNet-1k, -12k, -21k or -22k"
        )
    info = ImageNetInfo(subset)
    return tuple(str(info.index_to_description(index, detailed=False)) for index in range(info.num_classes()))


@lru_cache(maxsize=32)
def _matched(prompts: tuple[tuple[str, ...], ...], names: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(match_prompts(group, names)) for group in prompts)


def match_prompts(group: Sequence[str], names: tuple[str, ...]) -> list[int]:
    """Indices of the classifier's classes of which one of the prompts is a lemma or the last words of one.

    "train" matches "bullet train, bullet"; "pot" matches "pot, flowerpot" but not "teapot". A prompt that is the common
    name of several of them ("bird") also stands for these, and one that the classifier lacks ("horse") for what it has
    instead (`wilss.foundation.imagenet_kinds`).
    """
    found, lemmas = set[int](), _lemmas(names)
    for word in (" ".join(_words(prompt)) for prompt in group):
        own = _ending_in((word, *KINDS.get(word, ())), lemmas) - _called(NOT_KINDS.get(word, ()), lemmas)
        found |= own or _ending_in(STAND_INS.get(word, ()), lemmas)
    return sorted(found)


@lru_cache(maxsize=4)
def _lemmas(names: tuple[str, ...]) -> tuple[tuple[list[str], ...], ...]:
    return tuple(tuple(_words(lemma) for lemma in name.split(",")) for name in names)


def _ending_in(prompts: Sequence[str], lemmas: Sequence[Sequence[list[str]]]) -> set[int]:
    wanted = [words for words in map(_words, prompts) if words]
    return {i for i, own in enumerate(lemmas) if any(one[-len(words) :] == words for words in wanted for one in own)}


def _called(prompts: Sequence[str], lemmas: Sequence[Sequence[list[str]]]) -> set[int]:
    refused = [_words(prompt) for prompt in prompts]
    return {i for i, own in enumerate(lemmas) if any(words in own for words in refused)}


def require_matches(prompts: dict[str, tuple[str, ...]], names: tuple[str, ...]) -> None:
    """Raise SpecError for the first class whose prompts match nothing the classifier knows, naming the nearest."""
    lemmas = sorted({lemma.strip() for name in names for lemma in name.split(",")})
    for class_name, group in prompts.items():
        if not match_prompts(group, names):
            near = {close for word in group for close in get_close_matches(word, lemmas, n=3, cutoff=0.0)}
            raise SpecError(
                f"no class of the classifier matches the prompts {list(group)} of '{class_name}'; the nearest it has: "
                f"{', '.join(sorted(near))}. Add one of its names to the prompts"
            )


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())
