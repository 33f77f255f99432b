"""An ImageNet classifier with named classes as scorer, for machines without CLIP weights.

Dense logits are the classifier applied to every cell, i.e. class activation maps (Zhou et al. 2016). A class is what
its prompts match among the classifier's own classes; all the others are evidence of background.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import torch
from timm.data import ImageNetInfo
from torch import Tensor

from wilss.errors import SpecError
from wilss.foundation.contracts import Prompts, require_prompts
from wilss.foundation.preprocess import prepare
from wilss.precision import Precision, autocast


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
        matched = [match_prompts(group, self.names) for group in prompts]
        return torch.stack([self._evidence(logits, index) for index in matched], 1)

    def _evidence(self, logits_NKhw: Tensor, matched: list[int]) -> Tensor:
        """Score map of one class ``(N, h, w)``; zero for a class that matches nothing."""
        if not matched:
            return torch.zeros_like(logits_NKhw[:, 0])
        if self.evidence == "probability":
            return logits_NKhw.softmax(1)[:, matched].sum(1)
        rest = torch.ones(logits_NKhw.shape[1], dtype=torch.bool, device=logits_NKhw.device)
        rest[matched] = False
        others = logits_NKhw[:, rest].logsumexp(1)
        return (logits_NKhw[:, matched].amax(1) - self.competition * others).relu()


def _dense_logits(net: Any, features: Tensor) -> Tensor:
    """Apply everything after the pooling to each cell: ``(N, D, h, w)`` -> ``(N, K, h, w)``."""
    n, _, h, w = features.shape
    cells = features.permute(0, 2, 3, 1).flatten(0, 2)[..., None, None]
    if hasattr(net, "num_prefix_tokens"):
        logits = net.head(net.head_drop(net.fc_norm(cells[..., 0, 0])))
    else:
        logits = net.forward_head(cells)
    return logits.view(n, h, w, -1).permute(0, 3, 1, 2)


def imagenet_names(count: int) -> tuple[str, ...]:
    """Lemma names of the classes of an ImageNet classifier with ``count`` outputs, from timm's own metadata.

    Raises SpecError when no ImageNet label set has that many classes.
    """
    subsets = {1000: "imagenet-1k", 21843: "imagenet-22k", 21841: "imagenet-22k-ms", 12000: "imagenet-12k"}
    if count not in subsets:
        raise SpecError(f"a classifier with {count} outputs is no known ImageNet subset; known: {sorted(subsets)}")
    info = ImageNetInfo(subsets[count])
    return tuple(str(info.index_to_description(index, detailed=False)) for index in range(count))


def match_prompts(group: Sequence[str], names: tuple[str, ...]) -> list[int]:
    """Indices of the classifier's classes of which one of the prompts is a lemma or the last words of one.

    "train" matches "bullet train, bullet"; "pot" matches "pot, flowerpot" but not "teapot".

    """
    wanted = [_words(prompt) for prompt in group]
    found = []
    for index, name in enumerate(names):
        lemmas = [_words(lemma) for lemma in name.split(",")]
        if any(lemma[-len(words) :] == words for words in wanted for lemma in lemmas if words):
            found.append(index)
    return found


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
