"""open_clip models with weights that are really there: shipped, from a file or folder, or from the hub."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import wilss._torchvision  # noqa: F401

import open_clip
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from safetensors import SafetensorError
from timm.layers import Format

from wilss._logs import quiet_logs
from wilss.digest import digest_of, file_digest
from wilss.errors import SpecError, WeightsNotFoundError, did_you_mean
from wilss.foundation.clip_config import require_plain_clip
from wilss.foundation.clip_towers import SCENES_MODELS, Tower, dense_features, new_scenes_clip
from wilss.nets.pretrained import SHIPPED, read_weights, require_any_size

SCENES_FILE = SHIPPED / "clip_scenes.safetensors"
SCENES_FILES = {"scenes": SCENES_FILE, "scenes-vit": SHIPPED / "clip_scenes_vit.safetensors"}
FOLDER_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
"""The two that open_clip takes before all others, in its order; it would take pickles too."""


class LoadedClip(NamedTuple):
    """A frozen CLIP, what its input looks like and which sentences its captions resemble."""

    model: Any
    tokenizer: Any
    digest: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    stride: int
    templates: str
    temperature: float


def load_clip(name: str, folder: Path | None) -> LoadedClip:
    """The CLIP of a name: "scenes", "scenes@FILE", "MODEL/TAG", "MODEL/FILE" or a folder with open_clip_config.json.

    "scenes-vit" is the built-in world's with a ViT, of which "scenes@FILE" knows files too.

    Args:
        folder: local weights, looked for as ``MODEL-TAG.safetensors`` or ``.pt`` before the hub is asked.

    Raises SpecError for an unknown model, WeightsNotFoundError when weights are missing: never random ones.
    """
    if name in SCENES_FILES:
        return _scenes(SCENES_FILES[name])
    if name.startswith(tuple(f"{known}@" for known in SCENES_FILES)):
        return _scenes(Path(name.partition("@")[2]).expanduser())
    if name.endswith("/") or name.startswith(("/", ".", "~")) or Path(name).is_dir():
        model, tokenizer, facts = _from_folder(Path(name).expanduser())
    else:
        model, tokenizer, facts = _named(name, folder)
    visual = _frozen(model).visual
    if hasattr(visual, "trunk"):
        _accept_any_size(visual.trunk)
        require_any_size(lambda images: dense_features(visual, images), name, _stride(visual))
    mean = tuple(facts.get("mean") or getattr(visual, "image_mean", None) or OPENAI_DATASET_MEAN)
    std = tuple(facts.get("std") or getattr(visual, "image_std", None) or OPENAI_DATASET_STD)
    digest = digest_of({**facts, "mean": mean, "std": std})
    return LoadedClip(model, tokenizer, digest, mean, std, _stride(visual), "imagenet", 100.0)


def _scenes(path: Path) -> LoadedClip:
    if not path.is_file():
        raise WeightsNotFoundError(f"weights file '{path}' does not exist; make one with wilss pretrain clip")
    state = read_weights(path)
    tower: Tower = "vit" if "visual.trunk.cls_token" in state else "resnet"
    model = new_scenes_clip(tower)
    wanted = model.state_dict()
    odd = [key for key in state if key not in wanted or wanted[key].shape != state[key].shape]
    odd += [key for key in wanted if key not in state and not key.endswith(("attn_mask", "num_batches_tracked"))]
    if odd:
        raise WeightsNotFoundError(
            f"'{path}' does not fit {SCENES_MODELS[tower]}.json, first at '{odd[0]}'; make a file with wilss pretrain "
            "clip"
        )
    model.load_state_dict(state, strict=False)
    with quiet_logs():
        tokenizer = open_clip.get_tokenizer(SCENES_MODELS[tower])
    return LoadedClip(_frozen(model), tokenizer, file_digest(path), (0.5,) * 3, (0.25,) * 3, 8, "scenes", 30.0)


def _named(name: str, folder: Path | None) -> tuple[Any, Any, dict[str, Any]]:
    """Model, tokenizer, and every fact that tells this model from another."""
    model_name, _, tag = name.partition("/")
    if model_name not in open_clip.list_models():
        raise SpecError(f"open_clip has no model '{model_name}'.{did_you_mean(model_name, open_clip.list_models())}")
    tags = open_clip.list_pretrained_tags_by_model(model_name)
    if not tag:
        raise SpecError(
            f"'clip:{name}' names no weights; write clip:{model_name}/TAG with TAG one of {', '.join(tags)}"
        )
    local = _local_file(model_name, tag, folder)
    if local is None and tag not in tags:
        raise WeightsNotFoundError(
            f"'{tag}' is neither a file nor weights that open_clip knows of {model_name}.{did_you_mean(tag, tags)}"
        )
    # what open_clip knows of its own tags it does not know of a file: OpenAI's activation, SigLIP's normalisation
    config = open_clip.get_pretrained_cfg(model_name, tag) or {}
    quick = bool(config.get("quick_gelu")) or tag == "openai"
    arguments = {"force_quick_gelu": True} if quick else {}
    try:
        with quiet_logs():
            model = open_clip.create_model(
                model_name,
                pretrained=str(local) if local else tag,
                require_pretrained=True,
                weights_only=True,
                **arguments,
            )
    except (OSError, RuntimeError, ValueError, SafetensorError, UnpicklingError) as error:
        raise WeightsNotFoundError(_how_to_get(model_name, tag, config, local, folder)) from error
    facts = {"model": model_name, "quick_gelu": quick, "mean": config.get("mean"), "std": config.get("std")}
    return model, _tokenizer(model_name), {**facts, "weights": file_digest(local) if local else f"hub:{name}"}


def _from_folder(path: Path) -> tuple[Any, Any, dict[str, Any]]:
    weights = next((path / name for name in FOLDER_WEIGHTS if (path / name).is_file()), None)
    config = path / "open_clip_config.json"
    if weights is None or not config.is_file():
        raise WeightsNotFoundError(
            f"'{path}' is no folder with a CLIP; it needs open_clip_config.json and {FOLDER_WEIGHTS[0]}"
        )
    arguments = require_plain_clip(config)
    try:
        with quiet_logs():
            _require_memory(path, weights)
            model = open_clip.create_model(f"local-dir:{path}", require_pretrained=True, weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AssertionError, SafetensorError) as error:
        raise WeightsNotFoundError(
            f"the CLIP in '{path}' cannot be loaded ({error}); is one of its files damaged?"
        ) from error
    return (
        model,
        _tokenizer(f"local-dir:{path}", **arguments),
        {"config": file_digest(config), "weights": file_digest(weights)},
    )


def _require_memory(path: Path, weights: Path) -> None:
    """Raise ValueError when the described network is far larger than its file; it is built without memory."""
    with torch.device("meta"):
        model = open_clip.create_model(f"local-dir:{path}", load_weights=False, pretrained_text=False, device="meta")
    numbers = sum(value.numel() for value in model.state_dict().values())
    if numbers > 2 * weights.stat().st_size:  # an 8-bit number a byte, and position embeddings that are resized
        raise ValueError(f"{numbers} numbers are described, and the file has {weights.stat().st_size} bytes")


def _tokenizer(name: str, **arguments: Any) -> Any:
    """The model's tokenizer; some need the library transformers and a vocabulary from the hub."""
    try:
        with quiet_logs():
            return open_clip.get_tokenizer(name, **arguments)
    except ImportError as error:
        raise SpecError(
            f"the tokenizer of '{name}' needs the package {error.name}; pip install {error.name}"
        ) from error
    except (OSError, ValueError) as error:
        raise WeightsNotFoundError(f"the tokenizer of '{name}' cannot be loaded: {error}") from error


def _local_file(model_name: str, tag: str, folder: Path | None) -> Path | None:
    places = [folder / f"{model_name}-{tag}{suffix}" for suffix in (".safetensors", ".pt")] if folder else []
    return next((path for path in (*places, Path(tag)) if path.is_file()), None)


def _how_to_get(model_name: str, tag: str, config: dict[str, Any], local: Path | None, folder: Path | None) -> str:
    if local is not None:
        return f"'{local}' cannot be loaded as weights of {model_name}; is it a file of another model, or damaged?"
    hub = str(config.get("hf_hub", "")).strip("/")
    source = f"open_clip_model.safetensors of the hub repository {hub}" if hub else str(config.get("url"))
    place = folder or Path("WEIGHTS")
    return (
        f"no weights for 'clip:{model_name}/{tag}' at hand and the hub cannot be reached; fetch {source} on a machine "
        f"with a network and put it at {place / f'{model_name}-{tag}.safetensors'}"
        + ("" if folder else " (then give that folder with --weights)")
    )


def _frozen(model: Any) -> Any:
    return model.eval().requires_grad_(False)


def _stride(visual: Any) -> int:
    if hasattr(visual, "trunk"):
        embed = getattr(visual.trunk, "patch_embed", None)
        return int(embed.feat_ratio(as_scalar=True)) if embed else int(visual.trunk.feature_info[-1]["reduction"])
    return int(visual.patch_size[0]) if hasattr(visual, "patch_size") else 32


def _accept_any_size(trunk: Any) -> None:
    """Let a timm ViT that was built for one image size resize its position embeddings to any."""
    if hasattr(trunk, "patch_embed") and hasattr(trunk, "dynamic_img_size"):
        trunk.dynamic_img_size = True
        trunk.patch_embed.strict_img_size = False
        trunk.patch_embed.flatten, trunk.patch_embed.output_fmt = False, Format.NHWC
