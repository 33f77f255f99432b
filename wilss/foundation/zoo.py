"""Foundation models by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import wilss._torchvision  # noqa: F401

import torch
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from wilss.digest import digest_of
from wilss.errors import SpecError
from wilss.foundation.attention import AttentionGrouper
from wilss.foundation.classifier import ClassifierScorer, imagenet_names, require_matches
from wilss.foundation.clip import TEMPLATES, ClipScorer
from wilss.foundation.clip_towers import require_block
from wilss.foundation.contracts import Grouper, Scorer, TagScorer, features_of, require_prompts
from wilss.foundation.features import FeatureGrouper, LastMap, PatchTokens
from wilss.foundation.imagenet_kinds import KINDS, NOT_KINDS, STAND_INS
from wilss.foundation.kinds import GROUPERS, SCORERS, kind_of
from wilss.foundation.loading import load_clip
from wilss.foundation.multiscale import MultiScaleScorer
from wilss.foundation.own import OwnGrouper, OwnScorer
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.vocabulary import background_words
from wilss.foundation.windows import require_windows
from wilss.members import GROUPER, SCORER, require_members
from wilss.nets.pretrained import Weights, build, find_weights, model_class, require_any_size
from wilss.precision import resolved


def build_scorer(
    spec: FoundationSpec,
    folder: Path | None = None,
    device: str = "cpu",
    grouper: Callable[[], Grouper] | None = None,
) -> Scorer:
    """The scorer ``spec.scorer``: "clip:scenes", "clip:MODEL/TAG", "classifier:TIMM_MODEL" or a registered kind's.

    Args:
        folder: local weights folder.
        grouper: gives the one that is used beside it, for a scorer that follows its features (the block "proxy"): so
            an image goes through it once. Left out, such a scorer gets one of its own.

    Raises SpecError for an unknown name, one that lacks a member of its contract, or settings that it cannot do,
    WeightsNotFoundError when weights are missing.
    """
    kind = kind_of(spec.scorer, SCORERS, "scorer")
    scorer: Scorer = kind.build(spec, folder, device)
    require_members(scorer, SCORER, f"scorer '{kind.name}'")
    one = scorer.scorers[0] if isinstance(scorer, MultiScaleScorer) else scorer
    if spec.compete == "tagged" and not isinstance(one, TagScorer):
        raise SpecError(
            f"foundation.compete=tagged leaves out words by an image's tags, and '{spec.scorer}' has no scores_among "
            "to do so; leave it out or take a clip: scorer"
        )
    if spec.block == "proxy" and isinstance(one, ClipScorer):
        scorer = _with_proxy(scorer, spec, grouper() if grouper else build_grouper(spec, folder, device))
    return OwnScorer(scorer, kind.code) if kind.registered else scorer


def _with_proxy(scorer: Scorer, spec: FoundationSpec, grouper: Grouper) -> Scorer:
    """A CLIP whose last block follows a grouper's features."""
    features = features_of(grouper)
    if features is None:
        raise SpecError(
            f"foundation.block=proxy follows the features of the grouper, and '{spec.grouper}' offers none; take a "
            "dino: or features: grouper, or another block"
        )

    def following(one: Scorer) -> Scorer:
        digest = digest_of({"scorer": one.digest, "proxy": grouper.digest})
        if isinstance(one, MultiScaleScorer):
            return replace(one, scorers=tuple(map(following, one.scorers)), digest=digest)
        return replace(one, proxy=features, digest=digest) if isinstance(one, ClipScorer) else one

    return following(scorer)


def build_grouper(spec: FoundationSpec, folder: Path | None = None, device: str = "cpu") -> Grouper:
    """The grouper ``spec.grouper``: "dino:scenes", "dino:TIMM_VIT", "features:TIMM_MODEL" or a registered kind's."""
    kind = kind_of(spec.grouper, GROUPERS, "grouper")
    grouper: Grouper = kind.build(spec, folder, device)
    require_members(grouper, GROUPER, f"grouper '{kind.name}'")
    return OwnGrouper(grouper, kind.code) if kind.registered else grouper


def require_known(scorer: Scorer, prompts: dict[str, tuple[str, ...]]) -> None:
    """Raise SpecError for an empty ontology, an empty class, or a class that this scorer cannot know.

    CLIP reads any words; a classifier knows its own classes only.
    """
    if not prompts:
        raise SpecError("the ontology is empty: there is no class to label; give at least one class with a prompt")
    require_prompts(list(prompts.values()))
    each = scorer.scorers if isinstance(scorer, MultiScaleScorer) else (scorer,)
    names = tuple(dict.fromkeys(name for one in each if isinstance(one, ClassifierScorer) for name in one.names))
    if names:
        require_matches(prompts, names)


def _at_scales(spec: FoundationSpec, at_scale: Callable[[float], Scorer]) -> Scorer:
    """A scorer at the sizes of its settings, and mirrored if they say so."""
    scorers = tuple(at_scale(scale) for scale in spec.scorer_scales)
    return scorers[0] if len(scorers) == 1 and not spec.scorer_flip else _together(scorers, spec)


def _together(scorers: tuple[Scorer, ...], spec: FoundationSpec) -> Scorer:
    facts = {"scales": [scorer.digest for scorer in scorers], "flip": spec.scorer_flip}
    return MultiScaleScorer(scorers, digest_of(facts), spec.scorer_flip)


def clip_scorer(spec: FoundationSpec, folder: Path | None, device: str) -> Scorer:
    """CLIP as a scorer."""
    loaded = load_clip(spec.scorer.partition(":")[2], folder)
    templates = TEMPLATES[loaded.templates if spec.templates == "auto" else spec.templates]
    temperature = spec.scorer_temperature or loaded.temperature
    require_block(loaded.model.visual, spec.block)
    settings: dict[str, Any] = {
        "temperature": temperature,
        "normalise": spec.normalise,
        "templates": templates,
        "background": background_words(spec.background, {}).kept,
        "key_smoothing": spec.key_smoothing,
        "denoise": spec.denoise,
        "precision": resolved(spec.precision, torch.device(device)),
        **_later_settings(spec, loaded.stride),
    }
    model = loaded.model.to(device)
    texts: dict[Any, Any] = {}  # one cache for all scales

    def at_scale(scale: float) -> Scorer:
        digest = digest_of({"clip": loaded.digest, "scale": scale, **SCORERS["clip"].code, **settings})
        inputs = (loaded.mean, loaded.std, loaded.stride)
        return ClipScorer(model, loaded.tokenizer, digest, *inputs, scale=scale, texts=texts, **settings)

    return _at_scales(spec, at_scale)


def _later_settings(spec: FoundationSpec, patch: int) -> dict[str, Any]:
    """Those that came when digests were in use already, where they are set."""
    found: dict[str, Any] = {name: getattr(spec, name) for name in ("block", "words", "compete")}
    found = {name: value for name, value in found.items() if value != FoundationSpec.model_fields[name].default}
    if spec.compete == "tagged" and not spec.background:
        raise SpecError(
            "with foundation.compete=tagged an image's tags, old names and background words compete, and there are no "
            "background words, so that a single tag would win everywhere; give foundation.background"
        )
    window = require_windows(spec.window, spec.stride, patch)
    return {**found, "window": window} if window else found


def classifier_scorer(spec: FoundationSpec, folder: Path | None, device: str) -> Scorer:
    """A classifier of ImageNet as a scorer, or several whose maps are averaged, joined by "+".

    Raises SpecError for settings of CLIP's last block.
    """
    if spec.block != "auto" or spec.window:
        told = f"block={spec.block}" if spec.block != "auto" else f"window={spec.window}"
        raise SpecError(f"foundation.{told} is for clip: scorers; leave it out with '{spec.scorer}'")
    models = spec.scorer.partition(":")[2].split("+")
    makers = [_classifier_at_scale(spec, model, folder, device) for model in models]
    if len(makers) == 1:
        return _at_scales(spec, makers[0])
    return _together(tuple(maker(scale) for maker in makers for scale in spec.scorer_scales), spec)


def _classifier_at_scale(
    spec: FoundationSpec, model: str, folder: Path | None, device: str
) -> Callable[[float], Scorer]:
    weights = find_weights(model, "auto", folder)
    net, stride = _classifier_net(weights, spec.scorer_stride)
    settings: dict[str, Any] = {
        "temperature": spec.scorer_temperature or 1.0,
        "evidence": spec.evidence,
        "competition": spec.competition,
        "precision": resolved(spec.precision, torch.device(device)),
    }
    known = {
        "classifier": weights.model,
        "weights": weights.digest,
        "stride": stride,
        "kinds": [KINDS, NOT_KINDS, STAND_INS],
    }

    def at_scale(scale: float) -> Scorer:
        facts = {**known, "scale": scale, **SCORERS["classifier"].code, **settings}
        names = imagenet_names(net)
        return ClassifierScorer(
            net.to(device), names, digest_of(facts), weights.mean, weights.std, stride, scale=scale, **settings
        )

    return at_scale


def _classifier_net(weights: Weights, output_stride: int | None) -> tuple[Any, int]:
    """A frozen classifier that takes any image size, and the stride of its grid."""
    if issubclass(model_class(weights.model), (VisionTransformer, Eva)):
        vit: Any = build(weights, dynamic_img_size=True)
        patch = int(vit.patch_embed.patch_size[0])
        if output_stride not in (None, patch):
            raise SpecError(
                f"'{weights.model}' has patches of {patch} px and cannot have scorer_stride={output_stride}; leave "
                "scorer_stride out"
            )
        return vit.eval().requires_grad_(False), patch
    net: Any = build(weights, **({"output_stride": output_stride} if output_stride else {}))
    stride = output_stride or int(net.feature_info[-1]["reduction"])
    require_any_size(net.eval(), weights.model, stride)
    return net.requires_grad_(False), stride


def attention_grouper(spec: FoundationSpec, folder: Path | None, device: str) -> Grouper:
    """The attention of a ViT as a grouper."""
    name = spec.grouper.partition(":")[2]
    scenes, _, file = name.partition("@")
    weights = find_weights("vit_scenes" if scenes == "scenes" else name, file or "auto", folder)
    if not issubclass(model_class(weights.model), (VisionTransformer, Eva)):
        raise SpecError(f"'{weights.model}' is no plain ViT with attention to read; use features:{weights.model}")
    vit = build(weights, dynamic_img_size=True, num_classes=0).eval().requires_grad_(False).to(device)
    settings: dict[str, Any] = {
        "scale": spec.grouper_scale,
        "temperature": spec.grouper_temperature or 1.0,
        "source": spec.affinity,
        "n_heads": spec.grouper_heads,
        "precision": resolved(spec.precision, torch.device(device)),
    }
    digest = digest_of({"attention": weights.model, "weights": weights.digest, **GROUPERS["dino"].code, **settings})
    return AttentionGrouper(vit, digest, weights.mean, weights.std, **settings)


def feature_grouper(spec: FoundationSpec, folder: Path | None, device: str) -> Grouper:
    """The features of a network as a grouper."""
    weights = find_weights(spec.grouper.partition(":")[2], "auto", folder)
    net, stride = _feature_net(weights)
    settings: dict[str, Any] = {
        "scale": spec.grouper_scale,
        "temperature": spec.grouper_temperature or 0.1,
        "centred": spec.grouper_centred,
        "precision": resolved(spec.precision, torch.device(device)),
    }
    digest = digest_of({"features": weights.model, "weights": weights.digest, **GROUPERS["features"].code, **settings})
    frozen = net.eval().requires_grad_(False).to(device)
    return FeatureGrouper(frozen, digest, weights.mean, weights.std, stride, **settings)


def _feature_net(weights: Weights) -> tuple[nn.Module, int]:
    """Images -> last feature map, and its stride: normed patch tokens of a ViT, output stride 16 of a ResNet."""
    if issubclass(model_class(weights.model), (VisionTransformer, Eva)):
        vit: Any = build(weights, dynamic_img_size=True, num_classes=0)
        return PatchTokens(vit), int(vit.patch_embed.patch_size[0])
    try:
        net: Any = build(weights, features_only=True, output_stride=16)
    except (TypeError, AssertionError):  # some networks have one fixed output stride
        net = build(weights, features_only=True)
    stride = int(net.feature_info.reduction()[-1])
    features = LastMap(net).eval()
    require_any_size(features, weights.model, stride)
    return features, stride
