"""CLIP as dense scorer: text-aligned features at every grid cell (MaskCLIP, Zhou et al. 2022).

This is the only file that touches open_clip's private names.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import open_clip
import torch
import torch.nn.functional as F
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from wilss.errors import SpecError
from wilss.foundation.contracts import Prompts
from wilss.foundation.preprocess import prepare

TEMPLATES = (
    "a photo of a {}",
    "a picture of a {}",
    "a scene with a {}",
    "there is a {}",
    "an image of a {}",
    "a {}",
)
"""Prompt templates; the embeddings of all of them are averaged."""


@dataclass(frozen=True)
class ClipScorer:
    """Softmax over all named classes and background words of each cell's similarity to the text.

    Args:
        model: an open_clip ``CLIP``.
        tokenizer: its tokenizer.
        temperature: factor on the similarities before the softmax (CLIP's own is 100 on natural images).
        normalise: "cell" takes the cosine of every cell; "image" divides by the norm of the image's pooled feature, so
            that cells without content stay small (exact parts of the image-text similarity for average pooling).
        background: words that compete with the classes but get no map.
        scale: factor on the input size before the model sees it.
    """

    model: Any
    tokenizer: Callable[[list[str]], Tensor]
    digest: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    stride: int
    temperature: float = 30.0
    normalise: Literal["cell", "image"] = "cell"
    background: tuple[str, ...] = ()
    scale: float = 1.0
    _texts: dict[tuple[tuple[str, ...], ...], Tensor] = field(default_factory=dict, compare=False, repr=False)

    @torch.inference_mode()
    def scores(self, images_N3HW: Tensor, prompts: Prompts) -> Tensor:
        """See `wilss.foundation.contracts.Scorer.scores`."""
        names = tuple(tuple(group) for group in prompts) + tuple((word,) for word in self.background)
        images = prepare(images_N3HW, self.mean, self.std, self.scale, self.stride)
        dense = dense_features(self.model.visual, images).float()
        if self.normalise == "cell":
            dense = F.normalize(dense, dim=1)
        else:
            dense = dense / dense.mean((2, 3), keepdim=True).norm(dim=1, keepdim=True).clamp(min=1e-6)
        similarity = torch.einsum("ndhw,cd->nchw", dense, self._embed(names))
        return (self.temperature * similarity).softmax(1)[:, : len(prompts)]

    def _embed(self, names: tuple[tuple[str, ...], ...]) -> Tensor:
        """Unit text embeddings ``(C, D)``: mean over a class's names and the templates. Computed once per name list."""
        if names not in self._texts:
            if any(not group for group in names):
                raise SpecError(f"a class has no prompt in {names}; give at least one name for each class")
            rows = []
            for group in names:
                tokens = self.tokenizer([template.format(name) for name in group for template in TEMPLATES])
                device = next(self.model.parameters()).device
                text = F.normalize(self.model.encode_text(tokens.to(device)).float(), dim=-1)
                rows.append(F.normalize(text.mean(0), dim=0))
            self._texts[names] = torch.stack(rows)
        return self._texts[names]


def dense_features(visual: nn.Module, images: Tensor) -> Tensor:
    """Text-aligned features of every grid cell, ``(N, D, h, w)``, for any of open_clip's image towers.

    Raises SpecError for a tower of another kind.
    """
    if isinstance(visual, TimmModel):
        return _timm_tower(visual, images)
    if isinstance(visual, VisionTransformer):
        return _value_path(visual, images)
    if isinstance(visual, ModifiedResNet):
        return _attention_pool_as_convolution(visual, images)
    raise SpecError(f"no dense path for the image tower {type(visual).__name__}; use a ViT, ResNet or timm tower")


def _timm_tower(visual: TimmModel, images: Tensor) -> Tensor:
    features = visual.trunk.forward_features(images)
    if features.ndim == 3:  # ViT trunk: drop prefix tokens, restore the grid
        prefix = visual.trunk.num_prefix_tokens
        patch = visual.trunk.patch_embed.patch_size
        grid = (images.shape[-2] // patch[0], images.shape[-1] // patch[1])
        features = features[:, prefix:].transpose(1, 2).unflatten(2, grid)
    return visual.head(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _value_path(visual: VisionTransformer, images: Tensor) -> Tensor:
    """MaskCLIP: in the last block each token keeps its own value instead of attending to others."""
    x = visual.conv1(images)
    h, w = x.shape[-2:]
    x = torch.cat([visual.class_embedding.expand(len(x), 1, -1).to(x.dtype), x.flatten(2).transpose(1, 2)], 1)
    x = visual.patch_dropout(x + _resized_positions(visual.positional_embedding, visual.grid_size, (h, w)))
    x = visual.ln_pre(x)
    for block in visual.transformer.resblocks[:-1]:
        x = block(x)
    last = visual.transformer.resblocks[-1]
    weight, bias = last.attn.in_proj_weight.chunk(3)[2], last.attn.in_proj_bias.chunk(3)[2]
    value = last.attn.out_proj(F.linear(last.ln_1(x), weight, bias))
    x = x + last.ls_1(value)
    x = visual.ln_post(x + last.ls_2(last.mlp(last.ln_2(x))))
    return (x[:, 1:] @ visual.proj).transpose(1, 2).unflatten(2, (h, w))


def _resized_positions(embedding: Tensor, grid: tuple[int, int], wanted: tuple[int, int]) -> Tensor:
    """Position embeddings ``(1 + h * w, D)`` for another grid, bicubic; the class token's stays."""
    if tuple(grid) == wanted:
        return embedding
    square = embedding[1:].unflatten(0, grid).permute(2, 0, 1)[None]
    resized = F.interpolate(square, wanted, mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([embedding[:1], resized[0].flatten(1).T])


def _attention_pool_as_convolution(visual: ModifiedResNet, images: Tensor) -> Tensor:
    """Value and output projections of the attention pool, applied to every cell alone."""
    x = visual.stem(images)
    for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        x = layer(x)
    pool = visual.attnpool
    value = F.linear(x.permute(0, 2, 3, 1), pool.v_proj.weight, pool.v_proj.bias)
    return F.linear(value, pool.c_proj.weight, pool.c_proj.bias).permute(0, 3, 1, 2)


def new_scenes_clip() -> Any:
    """An untrained ``clip:scenes``, random weights on purpose."""
    register_scenes_config()
    logging.disable(logging.WARNING)  # open_clip warns of random weights; the callers train or replace them
    try:
        return open_clip.create_model("clip_scenes", pretrained=None, load_weights=False)
    finally:
        logging.disable(logging.NOTSET)


@lru_cache(maxsize=1)
def register_scenes_config() -> None:
    """Make ``clip_scenes`` known to open_clip, which reads it from the JSON file beside this module."""
    from pathlib import Path

    import wilss.nets.scenes_resnet  # noqa: F401  (registers the trunk with timm)

    open_clip.add_model_config(Path(__file__).parent / "clip_scenes.json")
