"""timm models with weights that are really there: shipped, from a local folder or file, or from the hub.

A model is never silently left with random weights: ``weights="none"`` has to be asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wilss._torchvision

import timm
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

import wilss.nets.scenes_resnet
import wilss.nets.scenes_vit  # noqa: F401  (both register their model with timm)
from wilss._logs import quiet_logs
from wilss.architecture import harmless, plain_name
from wilss.digest import file_digest
from wilss.errors import SpecError, WeightsNotFoundError, did_you_mean

SHIPPED = Path(__file__).parent.parent / "foundation" / "weights"
SHIPPED_TRUNKS = {
    "resnet_scenes": ("clip_scenes.safetensors", "visual.trunk."),
    "vit_scenes": ("dino_scenes.safetensors", ""),
}


@dataclass(frozen=True)
class Weights:
    """Where a timm model's weights come from and how its input is normalised.

    ``path`` is None for the hub (``hub=True``) or for a random start (``hub=False``). Raises SpecError for a model that
    is named by a path or an address, and for arguments that a file may not give (`wilss.architecture`).
    """

    model: str
    path: Path | None
    hub: bool
    prefix: str
    digest: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    arguments: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        plain_name(self.model)
        harmless(dict(self.arguments))


def find_weights(model: str, weights: str, folder: Path | None) -> Weights:
    """Resolve ``weights`` for a timm model.

    Args:
        model: timm model name.
        weights: "auto" (shipped, then ``folder/MODEL.safetensors``, then timm's hub), "none" (random start, on
            purpose) or the path of a safetensors file.
        folder: local weights folder.

    Raises SpecError for a model timm does not know, WeightsNotFoundError for a path that does not exist.
    """
    config = pretrained_config(model)
    mean, std = tuple(config.mean), tuple(config.std)
    if weights == "none":
        return Weights(model, None, False, "", "random", mean, std)
    path, prefix = _local_file(model, weights, folder)
    if path is None:
        if not config.has_weights:
            raise _missing(model, folder)
        source = config.hf_hub_id or config.url or model
        return Weights(model, None, True, "", f"hub:{source}:{config.tag}", mean, std)
    mean, std, arguments = _described_input(path, mean, std)
    return Weights(model, path, False, prefix, file_digest(path), mean, std, arguments)


def pretrained_config(model: str) -> Any:
    """Timm's record of a model's weights. Raises SpecError for a model or a tag that timm does not know."""
    architecture = plain_name(model).partition(".")[0]
    if not timm.is_model(architecture):
        raise SpecError(f"timm has no model '{model}'.{did_you_mean(architecture, timm.list_models())}")
    try:
        return timm.get_pretrained_cfg(model, allow_unregistered=True) or timm.models.PretrainedCfg()
    except RuntimeError as error:
        tags = timm.list_models(f"{architecture}.*", pretrained=True)
        raise SpecError(f"timm has no weights '{model}'.{did_you_mean(model, tags)}") from error


def model_class(model: str) -> type:
    """The class of a timm model, built without memory."""
    with torch.device("meta"):
        return type(timm.create_model(model, pretrained=False))


def require_any_size(run: Callable[[Tensor], object], name: str, stride: int) -> None:
    """Raise SpecError for a model that cannot take an image of another size and shape than it was built for."""
    try:
        with torch.inference_mode():
            run(torch.zeros(1, 3, 3 * stride, 4 * stride))
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        raise SpecError(
            f"'{name}' does not take images of any size ({str(error)[:120]}); choose a ViT, ResNet or ConvNeXt"
        ) from error


def build(weights: Weights, **arguments: Any) -> nn.Module:
    """Create the timm model of ``weights`` and load them; extra arguments go to ``timm.create_model``.

    Raises SpecError for a model that timm does not know, WeightsNotFoundError when the hub cannot be reached.
    """
    pretrained_config(weights.model)
    arguments = {**dict(weights.arguments), **arguments}
    if weights.hub:
        try:
            with quiet_logs():
                return timm.create_model(weights.model, pretrained=True, **arguments)
        except (OSError, RuntimeError) as error:
            raise _missing(weights.model, None) from error
    model: nn.Module = timm.create_model(weights.model, pretrained=False, **arguments)
    if weights.path is not None:
        _load(model, weights)
    return model


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file, floating ones as float32. Raises WeightsNotFoundError for a damaged file."""
    try:
        content = load_file(path)
    except SafetensorError as error:
        raise _damaged(path, error) from error
    return {name: value.float() if value.is_floating_point() else value for name, value in content.items()}


def _load(model: nn.Module, weights: Weights) -> None:
    """Load the file into the model, or into the part of it that ``features_only`` kept."""
    assert weights.path is not None
    state = {
        key.removeprefix(weights.prefix): value
        for key, value in read_weights(weights.path).items()
        if key.startswith(weights.prefix)
    }
    found: dict[str, Tensor] = {}
    missing = []
    for name, wanted in model.state_dict().items():
        key = next((key for key in _names_in_file(name) if key in state and state[key].shape == wanted.shape), None)
        if key is not None:
            found[name] = state[key]
        elif not name.endswith("num_batches_tracked"):  # a counter that converted files often lack
            missing.append(name)
    if missing:
        raise WeightsNotFoundError(
            f"{weights.path} lacks {len(missing)} tensors of '{weights.model}' in their shape, first '{missing[0]}'; "
            "is it a file of another model?"
        )
    model.load_state_dict(found, strict=False)


def _names_in_file(name: str) -> tuple[str, ...]:
    """A parameter's own name, and those before timm's ``features_only``.

    It joins the first two levels of a convolutional network with "_", and puts a ViT behind "model.".
    """
    first, dot, rest = name.partition(".")
    return name, first.replace("_", ".", 1) + dot + rest, name.removeprefix("model.")


def _local_file(model: str, weights: str, folder: Path | None) -> tuple[Path | None, str]:
    if weights != "auto":
        path = Path(weights).expanduser()
        if not path.is_file():
            raise WeightsNotFoundError(
                f"weights file '{weights}' does not exist; give a .safetensors file, 'auto' or 'none'"
            )
        return path, ""
    if model in SHIPPED_TRUNKS:
        name, prefix = SHIPPED_TRUNKS[model]
        return SHIPPED / name, prefix
    if folder and (folder / f"{model}.safetensors").is_file():
        return folder / f"{model}.safetensors", ""
    return None, ""


def _described_input(
    path: Path, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[tuple[str, str], ...]]:
    """Normalisation and model arguments from the file's own metadata ("mean 0.5, std 0.5"; "pad_type='same'")."""
    try:
        with safe_open(path, "pt") as handle:
            notes = handle.metadata() or {}
    except SafetensorError as error:
        raise _damaged(path, error) from error
    found = re.search(r"mean (\d*\.?\d+), std (\d*\.?\d+)", notes.get("input", ""))
    if found:
        mean, std = (float(found[1]),) * 3, (float(found[2]),) * 3
    arguments = tuple(re.findall(r"(\w+)='(\w+)'", notes.get("architecture", "")))
    return mean, std, arguments


def _damaged(path: Path, error: Exception) -> WeightsNotFoundError:
    return WeightsNotFoundError(f"'{path}' is no safetensors file, or damaged ({error}); fetch it again")


def _missing(model: str, folder: Path | None) -> WeightsNotFoundError:
    where = f"{folder}/{model}.safetensors" if folder else f"WEIGHTS/{model}.safetensors (with --weights WEIGHTS)"
    return WeightsNotFoundError(
        f"no weights for '{model}' at hand and the hub cannot be used; put a safetensors file of that timm model at "
        f"{where}, or ask for a random start with weights 'none'"
    )
