"""Foundation models by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import open_clip
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from safetensors.torch import load_file
from torch import nn

from wilss.digest import digest_of
from wilss.errors import SpecError, WeightsNotFoundError, did_you_mean
from wilss.foundation.attention import AttentionGrouper
from wilss.foundation.classifier import ClassifierScorer, imagenet_names
from wilss.foundation.clip import ClipScorer, new_scenes_clip
from wilss.foundation.contracts import Grouper, Scorer
from wilss.foundation.features import FeatureGrouper
from wilss.foundation.spec import FoundationSpec
from wilss.nets.pretrained import SHIPPED, build, file_digest, find_weights


@lru_cache(maxsize=2)
def build_scorer(spec: FoundationSpec, folder: Path | None = None) -> Scorer:
    """The scorer ``spec.scorer``: "clip:scenes", "clip:MODEL/PRETRAINED" or "classifier:TIMM_MODEL".

    Args:
        folder: local weights folder.

    Raises SpecError for an unknown name, WeightsNotFoundError when weights are missing.
    """
    return _choose(spec.scorer, {"clip": _clip, "classifier": _classifier}, "scorer")(spec, folder)


@lru_cache(maxsize=2)
def build_grouper(spec: FoundationSpec, folder: Path | None = None) -> Grouper:
    """The grouper ``spec.grouper``: "dino:scenes", "dino:TIMM_VIT" or "features:TIMM_MODEL"."""
    return _choose(spec.grouper, {"dino": _attention, "features": _features}, "grouper")(spec, folder)


def _choose(name: str, kinds: dict[str, Callable[..., Any]], role: str) -> Callable[..., Any]:
    kind, separator, model = name.partition(":")
    if kind not in kinds or not separator or not model:
        raise SpecError(
            f"'{name}' is no {role}; write one of {', '.join(f'{k}:MODEL' for k in kinds)}.{did_you_mean(kind, kinds)}"
        )
    return kinds[kind]


def _clip(spec: FoundationSpec, folder: Path | None) -> Scorer:
    name = spec.scorer.partition(":")[2]
    model, tokenizer, weights_digest = _clip_scenes() if name == "scenes" else _open_clip(name, folder)
    scenes = name == "scenes"
    facts = {"weights": weights_digest, **_scorer_facts(spec), "normalise": spec.normalise, "words": spec.background}
    visual = model.visual
    return ClipScorer(
        model.eval().requires_grad_(False),
        tokenizer,
        digest_of(facts),
        (0.5,) * 3 if scenes else tuple(getattr(visual, "image_mean", None) or OPENAI_DATASET_MEAN),
        (0.25,) * 3 if scenes else tuple(getattr(visual, "image_std", None) or OPENAI_DATASET_STD),
        _clip_stride(visual),
        temperature=spec.scorer_temperature or (30.0 if scenes else 100.0),
        normalise=spec.normalise,
        background=spec.background,
        scale=spec.scorer_scale,
    )


def _clip_scenes() -> tuple[Any, Any, str]:
    model = new_scenes_clip()
    path = SHIPPED / "clip_scenes.safetensors"
    state = {key: value.float() if value.is_floating_point() else value for key, value in load_file(path).items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or [key for key in missing if not key.endswith(("attn_mask", "num_batches_tracked"))]:
        raise WeightsNotFoundError(
            f"'{path}' does not fit clip_scenes.json: {missing[:1] + unexpected[:1]}; reinstall wilss"
        )
    return model, open_clip.get_tokenizer("clip_scenes"), file_digest(path)


def _open_clip(name: str, folder: Path | None) -> tuple[Any, Any, str]:
    """An open_clip model with real weights: a local file ``folder/MODEL-PRETRAINED.{safetensors,pt}`` or the hub."""
    model_name, _, tag = name.partition("/")
    if model_name not in open_clip.list_models():
        raise SpecError(f"open_clip has no model '{model_name}'.{did_you_mean(model_name, open_clip.list_models())}")
    if not tag:
        tags = open_clip.list_pretrained_tags_by_model(model_name)
        raise SpecError(
            f"'clip:{name}' names no weights; write clip:{model_name}/TAG with TAG one of {', '.join(tags)}"
        )
    stems = [folder / f"{model_name}-{tag}{suffix}" for suffix in (".safetensors", ".pt")] if folder else []
    local = next((path for path in stems if path.is_file()), None)
    if local is None and Path(tag).is_file():
        local = Path(tag)
    quick = {"force_quick_gelu": True} if tag == "openai" else {}
    try:
        model = open_clip.create_model(
            model_name, pretrained=str(local) if local else tag, require_pretrained=True, weights_only=True, **quick
        )
    except (OSError, RuntimeError) as error:
        wanted = stems[0] if stems else f"WEIGHTS/{model_name}-{tag}.safetensors (with --weights WEIGHTS)"
        raise WeightsNotFoundError(f"no weights for 'clip:{name}' ({error}); put the file at {wanted}") from error
    return model, open_clip.get_tokenizer(model_name), file_digest(local) if local else f"hub:{name}"


def _clip_stride(visual: Any) -> int:
    if hasattr(visual, "trunk"):
        patch = getattr(getattr(visual.trunk, "patch_embed", None), "patch_size", None)
        return int(patch[0]) if patch else int(visual.trunk.feature_info[-1]["reduction"])
    return int(visual.patch_size[0]) if hasattr(visual, "patch_size") else 32


def _classifier(spec: FoundationSpec, folder: Path | None) -> Scorer:
    weights = find_weights(spec.scorer.partition(":")[2], "auto", folder)
    net: Any = build(weights).eval().requires_grad_(False)
    patch = getattr(getattr(net, "patch_embed", None), "patch_size", None)
    extra = {"dynamic_img_size": True} if patch else {}
    if extra:
        net = build(weights, **extra).eval().requires_grad_(False)
    return ClassifierScorer(
        net,
        imagenet_names(net.num_classes),
        digest_of({"weights": weights.digest, **_scorer_facts(spec)}),
        weights.mean,
        weights.std,
        int(patch[0]) if patch else int(net.feature_info[-1]["reduction"]),
        temperature=spec.scorer_temperature or 1.0,
        scale=spec.scorer_scale,
    )


def _attention(spec: FoundationSpec, folder: Path | None) -> Grouper:
    name = spec.grouper.partition(":")[2]
    model = "vit_scenes" if name == "scenes" else name
    weights = find_weights(model, "auto", folder)
    vit = build(weights, dynamic_img_size=True).eval().requires_grad_(False)
    digest = digest_of({"weights": weights.digest, **_grouper_facts(spec)})
    return AttentionGrouper(
        vit, digest, weights.mean, weights.std, spec.grouper_scale, spec.grouper_temperature or 1.0, spec.affinity
    )


def _features(spec: FoundationSpec, folder: Path | None) -> Grouper:
    weights = find_weights(spec.grouper.partition(":")[2], "auto", folder)
    try:
        net: Any = build(weights, features_only=True, output_stride=16)
    except TypeError:  # transformers have no output stride
        net = build(weights, features_only=True, dynamic_img_size=True)
    net = net.eval().requires_grad_(False)
    return FeatureGrouper(
        _LastMap(net),
        digest_of({"weights": weights.digest, **_grouper_facts(spec)}),
        weights.mean,
        weights.std,
        int(net.feature_info.reduction()[-1]),
        spec.grouper_scale,
        spec.grouper_temperature or 0.1,
    )


class _LastMap(nn.Module):
    """The last of a ``features_only`` model's maps."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Any) -> Any:
        """``(N, 3, H, W)`` -> ``(N, D, h, w)``."""
        return self.net(images)[-1]


def _scorer_facts(spec: FoundationSpec) -> dict[str, Any]:
    return {"scorer": spec.scorer, "scale": spec.scorer_scale, "temperature": spec.scorer_temperature}


def _grouper_facts(spec: FoundationSpec) -> dict[str, Any]:
    facts = {"grouper": spec.grouper, "scale": spec.grouper_scale, "temperature": spec.grouper_temperature}
    return {**facts, "affinity": spec.affinity} if spec.grouper.startswith("dino:") else facts
