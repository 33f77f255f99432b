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
from wilss.foundation.clip_towers import Dense, dense_features
from wilss.foundation.competition import class_probabilities
from wilss.foundation.contracts import Prompts, require_prompts
from wilss.foundation.last_block import proxy_of
from wilss.foundation.preprocess import normalised, resized
from wilss.foundation.spec import Block
from wilss.foundation.windows import Box, boxes, joined
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
        temperature: factor on the similarities before the softmax (CLIP's own is 100 on natural images, the codes of
            `wilss.foundation.last_block` take 40).
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
        block: what a ViT's last block does, see `wilss.foundation.last_block`.
        proxy: for "proxy", features of the images by another network (`wilss.foundation.contracts.Featured`), asked of
            the images as they come, or of each window.
        window: an image with a longer side, at its scale, is seen in windows: their side, and the way from one to the
            next, in px and multiples of ``stride`` (`wilss.foundation.windows`). None sees every image as a whole.
        words: "mean" makes one text of a class's names; "max" lets all names compete, and takes a class's best.
        compete: "tagged" leaves out the classes that `scores_among` is not told of; "all" leaves out none.
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
    block: Block = "auto"
    proxy: Callable[[Tensor], Tensor] | None = field(default=None, compare=False, repr=False)
    window: tuple[int, int] | None = None
    words: Literal["mean", "max"] = "mean"
    compete: Literal["all", "tagged"] = "all"
    texts: dict[tuple[tuple[str, ...], ...], Tensor] = field(default_factory=dict, compare=False, repr=False)

    @torch.inference_mode()
    def scores(self, images_N3HW: Tensor, prompts: Prompts) -> Tensor:
        """See `wilss.foundation.contracts.Scorer.scores`."""
        return self._scores(images_N3HW, prompts, None)

    @torch.inference_mode()
    def scores_among(self, images_N3HW: Tensor, prompts: Prompts, allowed_NC: Tensor) -> Tensor:
        """See `wilss.foundation.contracts.TagScorer.scores_among`."""
        return self._scores(images_N3HW, prompts, allowed_NC if self.compete == "tagged" else None)

    def _scores(self, images_N3HW: Tensor, prompts: Prompts, allowed_NC: Tensor | None) -> Tensor:
        require_prompts(prompts)
        groups = (*(tuple(group) for group in prompts), *((word,) for word in self.background))
        sizes = (1,) * len(groups)
        if self.words == "max":
            groups = tuple(tuple(word for word in group if word.strip()) for group in groups)
            sizes = tuple(len(group) for group in groups)
            groups = tuple((word,) for group in groups for word in group)
        text, dense = self.embed(groups), self._whole(images_N3HW)
        logits = self.temperature * torch.einsum("ndhw,cd->nchw", dense.features, text)
        if allowed_NC is not None:
            allowed_NC = F.pad(allowed_NC, (0, len(self.background)), value=True)
        probability = class_probabilities(logits, sizes, allowed_NC, self.denoise)
        if self.key_smoothing:
            probability = _smoothed_by_keys(probability, dense.keys, self.key_smoothing)
        return probability[:, : len(prompts)]

    def _whole(self, images_N3HW: Tensor) -> Dense:
        """Features of whole images, seen at once or in windows; their products with the text are parts of cosines."""
        images = resized(images_N3HW, self.scale, self.stride)
        size = (images.shape[-2], images.shape[-1])
        if self.window is None or max(size) <= self.window[0]:
            dense = self._seen(images, images_N3HW)
        else:
            places = boxes(*size, *self.window)
            parts = [self._in_windows(image, places) for image in images]
            keys = [part.keys for part in parts if part.keys is not None]
            dense = Dense(torch.stack([part.features for part in parts]), torch.stack(keys) if keys else None)
        if self.normalise == "cell":
            return dense
        pooled = dense.features.mean((2, 3), keepdim=True).norm(dim=1, keepdim=True)
        return Dense(dense.features / pooled.clamp(min=1e-6), dense.keys)

    def _in_windows(self, image_3HW: Tensor, places: list[Box]) -> Dense:
        """The mean of what is seen in all windows of one image, which are one batch."""
        crops = torch.stack([image_3HW[:, top : top + h, left : left + w] for top, left, h, w in places])
        seen, size = self._seen(crops, crops), (image_3HW.shape[-2], image_3HW.shape[-1])
        keys = None if seen.keys is None or not self.key_smoothing else joined(seen.keys, places, size, self.stride)
        return Dense(joined(seen.features, places, size, self.stride), keys)

    def _seen(self, images_N3HW: Tensor, plain_N3HW: Tensor) -> Dense:
        """Features, of length 1 for cosines, and keys of images of a size that the tower takes.

        Args:
            plain_N3HW: the same before they were resized, for the proxy.
        """
        proxy = proxy_of(self.proxy(plain_N3HW)) if self.proxy and self.block == "proxy" else None
        with autocast(self.precision, images_N3HW.device):
            images = normalised(images_N3HW, self.mean, self.std)
            dense = dense_features(self.model.visual, images, self.block, proxy)
        features = dense.features.float()
        return Dense(F.normalize(features, dim=1) if self.normalise == "cell" else features, dense.keys)

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


def _smoothed_by_keys(probability_NChw: Tensor, keys_NKhw: Tensor | None, threshold: float) -> Tensor:
    """Uncertain cells take the mean of all cells, weighted by the positive part of the cosine of their keys."""
    if keys_NKhw is None:
        raise SpecError(
            "this CLIP image tower has no attention keys to smooth by; set foundation.key_smoothing=0 or use a ViT"
        )
    keys, grid = keys_NKhw.float(), probability_NChw.shape[-2:]
    if keys.shape[-2:] != grid:  # a proxy's
        keys = F.interpolate(keys, grid, mode="bilinear", align_corners=False)
    flat, unit = probability_NChw.flatten(2), F.normalize(keys.flatten(2), dim=1)
    weights = (unit.transpose(1, 2) @ unit).clamp(min=0)
    smooth = flat @ (weights / weights.sum(1, keepdim=True)).to(flat)
    uncertain = flat.amax(1, keepdim=True) < threshold
    return torch.where(uncertain, smooth, flat).view_as(probability_NChw)
