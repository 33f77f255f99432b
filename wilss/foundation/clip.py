"""CLIP as dense scorer: how well the text of each class fits every grid cell (MaskCLIP, Zhou et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import wilss._torchvision  # noqa: F401

import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.errors import SpecError
from wilss.foundation.clip_towers import dense_features
from wilss.foundation.contracts import Prompts, require_prompts
from wilss.foundation.preprocess import prepare
from wilss.precision import autocast
from wilss.section import Precision

TEMPLATES: dict[str, tuple[str, ...]] = {
    "scenes": (
        "a photo of a {}",
        "a picture of a {}",
        "a scene with a {}",
        "there is a {}",
        "an image of a {}",
        "a {}",
    ),
    "simple": tuple(template("{}") for template in open_clip.SIMPLE_IMAGENET_TEMPLATES),
    "imagenet": tuple(template("{}") for template in open_clip.OPENAI_IMAGENET_TEMPLATES),
}
"""Prompt templates by name: the captions of the built-in world, and CLIP's 7 and 80 for ImageNet."""
TEXT_BATCH = 256


@dataclass(frozen=True)
class ClipScorer:
    """Softmax over all named classes and background words of each cell's similarity to the text.

    Args:
        model: an open_clip ``CLIP``.
        tokenizer: its tokenizer.
        stride: input sizes are rounded to multiples of it.
        temperature: factor on the similarities before the softmax (CLIP's own is 100 on natural images).
        normalise: "cell" takes the cosine of every cell; "image" divides by the norm of the image's pooled feature, so
            that cells without content stay small (exact parts of the image-text similarity for average pooling).
        templates: sentences with ``{}`` for the name; the embeddings of all of them are averaged.
        background: words that compete with the classes but get no map.
        key_smoothing: cells whose highest probability is below this take the average of all cells, weighted by the
            cosine of the last layer's keys (MaskCLIP); 0 leaves it out. Towers without keys refuse it.
        denoise: a class that reaches this probability in no cell is taken out of the competition and gets a map of
            zeros (MaskCLIP's prompt denoising); 0 leaves it out.
        scale: factor on the input size before the model sees it.
        texts: cache of text embeddings, shared by the same model at other scales.
        precision: of the image tower; "auto" takes bf16 where the hardware has it.
    """

    model: Any
    tokenizer: Callable[[list[str]], Tensor]
    digest: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    stride: int
    temperature: float = 30.0
    normalise: Literal["cell", "image"] = "cell"
    templates: tuple[str, ...] = TEMPLATES["scenes"]
    background: tuple[str, ...] = ()
    key_smoothing: float = 0.0
    denoise: float = 0.0
    scale: float = 1.0
    precision: Precision = "fp32"
    texts: dict[tuple[tuple[str, ...], ...], Tensor] = field(default_factory=dict, compare=False, repr=False)

    @torch.inference_mode()
    def scores(self, images_N3HW: Tensor, prompts: Prompts) -> Tensor:
        """See `wilss.foundation.contracts.Scorer.scores`."""
        text = self.embed((*(tuple(group) for group in prompts), *((word,) for word in self.background)))
        images = prepare(images_N3HW, self.mean, self.std, self.scale, self.stride)
        with autocast(self.precision, images.device):
            dense = dense_features(self.model.visual, images)
        features = dense.features.float()
        if self.normalise == "cell":
            features = F.normalize(features, dim=1)
        else:
            features = features / features.mean((2, 3), keepdim=True).norm(dim=1, keepdim=True).clamp(min=1e-6)
        logits = self.temperature * torch.einsum("ndhw,cd->nchw", features, text)
        probability = logits.softmax(1)
        if self.denoise:
            probability = _without_weak_classes(logits, probability, self.denoise)
        if self.key_smoothing:
            probability = _smoothed_by_keys(probability, dense.keys, self.key_smoothing)
        return probability[:, : len(prompts)]

    @torch.inference_mode()
    def embed(self, names: tuple[tuple[str, ...], ...]) -> Tensor:
        """Unit text embeddings ``(C, D)``: mean over a class's names and the templates. Computed once per name list.

        Raises SpecError for a class without any name.
        """
        if names not in self.texts:
            require_prompts(names)
            sentences = [template.format(name) for group in names for name in group for template in self.templates]
            device = next(self.model.parameters()).device
            parts = [sentences[k : k + TEXT_BATCH] for k in range(0, len(sentences), TEXT_BATCH)]
            encoded = torch.cat([self.model.encode_text(self.tokenizer(part).to(device)).float() for part in parts])
            groups = F.normalize(encoded, dim=-1).split([len(group) * len(self.templates) for group in names])
            self.texts[names] = F.normalize(torch.stack([group.mean(0) for group in groups]), dim=-1)
        return self.texts[names]


def _without_weak_classes(logits: Tensor, probability: Tensor, threshold: float) -> Tensor:
    """Softmax again without the classes that reach ``threshold`` nowhere; the strongest class always stays."""
    highest = probability.amax((2, 3), keepdim=True)
    weak = (highest < threshold) & (highest < highest.amax(1, keepdim=True))
    return logits.masked_fill(weak, -torch.inf).softmax(1)


def _smoothed_by_keys(probability_NChw: Tensor, keys_NKhw: Tensor | None, threshold: float) -> Tensor:
    """Uncertain cells take the mean of all cells, weighted by the positive part of the cosine of their keys."""
    if keys_NKhw is None:
        raise SpecError(
            "this CLIP image tower has no attention keys to smooth by; set foundation.key_smoothing=0 or use a ViT"
        )
    flat, unit = probability_NChw.flatten(2), F.normalize(keys_NKhw.float().flatten(2), dim=1)
    weights = (unit.transpose(1, 2) @ unit).clamp(min=0)
    smooth = flat @ (weights / weights.sum(1, keepdim=True)).to(flat)
    uncertain = flat.amax(1, keepdim=True) < threshold
    return torch.where(uncertain, smooth, flat).view_as(probability_NChw)
