"""Every scorer and grouper keeps its contract; small or randomly initialised models of each kind."""

from __future__ import annotations

from typing import Any

import open_clip
import timm
import torch
from open_clip.model import CLIP
from torch import nn

from wilss.foundation.attention import AttentionGrouper
from wilss.foundation.classifier import ClassifierScorer, imagenet_names
from wilss.foundation.clip import TEMPLATES, ClipScorer
from wilss.foundation.contracts import Grouper, Scorer
from wilss.foundation.features import FeatureGrouper, LastMap, PatchTokens
from wilss.foundation.loading import _accept_any_size
from wilss.foundation.multiscale import MultiScaleScorer
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.zoo import build_grouper, build_scorer
from wilss.testing import GrouperContract, ScorerContract

HALF = (0.5, 0.5, 0.5)
TEXT = {"context_length": 32, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
TOWERS: dict[str, dict[str, Any]] = {
    "vit": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16},
    "resnet": {"image_size": 64, "layers": (1, 1, 1, 1), "width": 8, "head_width": 16},
    "timm vit": {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear", "image_size": 160},
    "timm siglip": {"timm_model_name": "test_vit2", "timm_pool": "map", "timm_proj": "none", "image_size": 64},
    "timm convnext": {"timm_model_name": "test_convnext", "timm_pool": "avg", "timm_proj": "mlp", "image_size": 160},
}
STRIDES = {"vit": 8, "resnet": 32, "timm vit": 16, "timm siglip": 16, "timm convnext": 32}


def clip_scorer(tower: str, device: str, **changes: Any) -> ClipScorer:
    torch.manual_seed(0)
    embed_dim = 64 if tower == "timm siglip" else 16  # without a projection the trunk's own width
    model = CLIP(embed_dim=embed_dim, vision_cfg=TOWERS[tower], text_cfg=TEXT).eval().requires_grad_(False)
    if hasattr(model.visual, "trunk"):
        _accept_any_size(model.visual.trunk)
    tokenizer = open_clip.tokenizer.SimpleTokenizer(context_length=32)
    return ClipScorer(model.to(device), tokenizer, "x", HALF, HALF, STRIDES[tower], templates=("a {}",), **changes)


def test_templates_have_a_place_for_the_name() -> None:
    assert {name: len(sentences) for name, sentences in TEMPLATES.items()} == {"scenes": 6, "simple": 7, "imagenet": 80}
    assert all("{}" in sentence for sentences in TEMPLATES.values() for sentence in sentences)


class TestClipScenes(ScorerContract):
    def make(self, device: str) -> Scorer:
        return build_scorer(FoundationSpec(precision="fp32"), None, device)


class TestClipScenesImageNorm(ScorerContract):
    def make(self, device: str) -> Scorer:
        spec = FoundationSpec(normalise="image", scorer_scales=(1.0, 2.0), scorer_flip=True, precision="fp32")
        scorer = build_scorer(spec, None, device)
        assert isinstance(scorer, MultiScaleScorer)
        return scorer


class TestClipVit(ScorerContract):
    def make(self, device: str) -> Scorer:
        return clip_scorer("vit", device, background=("sky",))


class TestClipVitSmoothedAndDenoised(ScorerContract):
    def make(self, device: str) -> Scorer:
        return clip_scorer("vit", device, key_smoothing=0.9, denoise=0.2)


class TestClipVitInWindows(ScorerContract):
    def make(self, device: str) -> Scorer:
        changes = {"block": "naclip", "window": (32, 16), "words": "max", "background": ("sky",), "key_smoothing": 0.9}
        return clip_scorer("vit", device, compete="tagged", **changes)


class TestClipVitProxy(ScorerContract):
    def make(self, device: str) -> Scorer:
        return clip_scorer("vit", device, block="proxy", proxy=attention(device).features, key_smoothing=0.9)


class TestClipVitProxyInWindows(ScorerContract):
    def make(self, device: str) -> Scorer:
        proxy = attention(device, scale=2.0).features
        return clip_scorer("vit", device, block="proxy", proxy=proxy, window=(32, 16), normalise="image", scale=1.5)


class TestClipTimmVitSclip(ScorerContract):
    def make(self, device: str) -> Scorer:
        return clip_scorer("timm vit", device, block="sclip")


class TestClipTimmSiglipClear(ScorerContract):
    def make(self, device: str) -> Scorer:
        return clip_scorer("timm siglip", device, block="clearclip")


class TestClipResnet(ScorerContract):
    def make(self, device: str) -> Scorer:
        return clip_scorer("resnet", device, key_smoothing=1.0)


class TestClipTimmVit(ScorerContract):
    def make(self, device: str) -> Scorer:
        return clip_scorer("timm vit", device)


class TestClipTimmSiglip(ScorerContract):
    def make(self, device: str) -> Scorer:
        return clip_scorer("timm siglip", device)


class TestClipTimmConvnext(ScorerContract):
    def make(self, device: str) -> Scorer:
        return clip_scorer("timm convnext", device)


def classifier(name: str, device: str, **changes: Any) -> Scorer:
    torch.manual_seed(0)
    arguments = {"dynamic_img_size": True} if "vit" in name else {}
    net = timm.create_model(name, pretrained=False, num_classes=1000, **arguments).eval().to(device)
    stride = 16 if "vit" in name else 32
    return ClassifierScorer(net, imagenet_names(net), "x", HALF, HALF, stride, **changes)


class TestClassifierResnet(ScorerContract):
    prompts = (("sheep", "ram"), ("television",), ("person",))

    def make(self, device: str) -> Scorer:
        return classifier("test_resnet", device)


class TestClassifierVitMargin(ScorerContract):
    prompts = (("sheep", "ram"), ("television",), ("person",))

    def make(self, device: str) -> Scorer:
        return classifier("test_vit", device, evidence="margin", competition=0.1)


class TestDinoScenes(GrouperContract):
    def make(self, device: str) -> Grouper:
        return build_grouper(FoundationSpec(grouper_scale=2.0, precision="fp32"), None, device)


def attention(device: str, **changes: Any) -> AttentionGrouper:
    torch.manual_seed(0)
    vit = timm.create_model("test_vit", num_classes=0, dynamic_img_size=True).eval().to(device)
    return AttentionGrouper(vit, "x", HALF, HALF, **changes)


class TestAttention(GrouperContract):
    def make(self, device: str) -> Grouper:
        return attention(device)


class TestSharpestHeads(GrouperContract):
    def make(self, device: str) -> Grouper:
        return attention(device, n_heads=1)


class TestKeys(GrouperContract):
    def make(self, device: str) -> Grouper:
        return attention(device, source="keys", temperature=0.1, scale=2.0)


class TestDinoV3(GrouperContract):
    def make(self, device: str) -> Grouper:
        torch.manual_seed(0)
        arguments: dict[str, Any] = {"embed_dim": 48, "depth": 2, "num_heads": 3, "img_size": 64}
        vit = timm.create_model("vit_small_patch16_dinov3", num_classes=0, **arguments).eval().to(device)
        return AttentionGrouper(vit, "x", HALF, HALF)


class TestConvolutionalFeatures(GrouperContract):
    def make(self, device: str) -> Grouper:
        torch.manual_seed(0)
        net = LastMap(timm.create_model("test_resnet", features_only=True, output_stride=16)).eval().to(device)
        return FeatureGrouper(net, "x", HALF, HALF, 16)


class TestTokenFeatures(GrouperContract):
    def make(self, device: str) -> Grouper:
        torch.manual_seed(0)
        net: nn.Module = timm.create_model("test_vit", num_classes=0, dynamic_img_size=True)
        return FeatureGrouper(PatchTokens(net).eval().to(device), "x", HALF, HALF, 16, centred=True)
