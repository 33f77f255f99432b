"""Checkpoints of other codes: MiB's, PLOP's and WILSON's students by name, and what others have of a backbone.

These codes share one network: a ResNet on InPlace-ABN whose modules are called ``body.mod1`` to ``body.mod5``, a head
with added image pooling, and one classifier a step (names and strides as read in their released codes).
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from wilss.errors import FormatError

Norm = Literal["inplace", "plain"]
EPSILON = 1e-5
"""Of InPlace-ABN, which scales by the weight's magnitude and this."""
STATES = ("model_state", "state_dict", "model")
"""Keys under which codes keep the network among optimiser, epoch and scores."""
RULES = (
    (r"body\.mod1\.(conv1|bn1)", r"backbone.\1"),
    (r"body\.mod([2-5])\.block(\d+)\.convs\.((?:conv|bn)\d)", "block"),
    (r"body\.mod([2-5])\.block(\d+)\.proj_conv", "shortcut.0"),
    (r"body\.mod([2-5])\.block(\d+)\.proj_bn", "shortcut.1"),
    (r"head\.map_convs\.(\d)", r"aspp.branches.\1"),
    (r"head\.map_bn", "aspp.norm.0"),
    (r"head\.red_conv", "aspp.project"),
    (r"head\.global_pooling_conv", "aspp.context.0"),
    (r"head\.global_pooling_bn", "aspp.context.1.0"),
    (r"head\.pool_red_conv", "aspp.context.2"),
    (r"head\.red_bn", "aspp.out.0"),
    (r"cls\.(\d+)", r"classifiers.\1"),
)
"""Name of a layer there -> here."""
DEPTHS: dict[tuple[int | str, ...], str] = {
    (2, 2, 2, 2): "resnet18",
    (3, 4, 6, 3): "resnet34",
    (3, 4, 6, 3, "bottleneck"): "resnet50",
    (3, 4, 23, 3, "bottleneck"): "resnet101",
    (3, 8, 36, 3, "bottleneck"): "resnet152",
}


@dataclass(frozen=True)
class Placed:
    """A student's state in the names that are used here.

    backbone: timm's name. step_sizes: foreground classes of each step. left: names that have no place.
    """

    state: dict[str, Tensor]
    backbone: str
    step_sizes: tuple[int, ...]
    left: tuple[str, ...]


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a network in a checkpoint of PyTorch or safetensors, without "module." before their names.

    Nothing in it is executed: only tensors, numbers, texts, lists and dictionaries are read.

    Raises FormatError for a file that holds anything else, or no network.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(_harmless()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, SafetensorError) as error:
        odd = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))  # the rest advises to execute it
        raise FormatError(
            f"'{path}' cannot be read as a checkpoint of tensors{f' (it names {odd[1]})' if odd else ''}; nothing but "
            "tensors and plain values is read: keep its state dict alone, with torch.save or safetensors"
        ) from error
    for key in STATES * 2:  # one may hold another: {"model_state": {"model": ...}}
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    found = {name: value for name, value in _items(content) if isinstance(value, Tensor)}
    if not found:
        raise FormatError(f"'{path}' holds no tensors by name; name a checkpoint of a network")
    return {name.removeprefix("module."): value for name, value in found.items()}


def place(state: Mapping[str, Tensor], path: Path, norm: Norm) -> Placed:
    """Give the tensors of a student of MiB, PLOP or WILSON the names that they have here.

    Args:
        norm: "inplace" scales by the magnitude of a normalisation's weight, as InPlace-ABN does.

    Raises FormatError for a checkpoint of another network, with what can be done about it.
    """
    found: dict[str, Tensor] = {}
    left = []
    for name, value in state.items():
        layer, _, leaf = name.rpartition(".")
        renamed = _renamed(layer)
        if renamed is None:
            left.append(name)
        else:
            found[f"{renamed}.{leaf}"] = value.float() if value.is_floating_point() else value
    biases = [found[name] for k in range(len(found)) if (name := f"classifiers.{k}.bias") in found]
    sizes = [bias.numel() for bias in biases if bias.ndim == 1]
    if not sizes or not any(name.startswith("backbone.") for name in found):
        raise FormatError(_unknown(state, path))
    if norm == "inplace":
        _as_plain(found)
    return Placed(found, _depth(found, path), (sizes[0] - 1, *sizes[1:]), tuple(left))


def backbone_of(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The backbone of a network of torchvision's segmentation models, in timm's names.

    Raises FormatError where there is none.
    """
    found = {name.removeprefix("backbone."): value for name, value in state.items() if name.startswith("backbone.")}
    if not found:
        raise FormatError(
            f"'{path}' has no tensors called 'backbone...', as torchvision's networks do; {_first(state)}"
        )
    return found


def _renamed(layer: str) -> str | None:
    for pattern, target in RULES:
        if match := re.fullmatch(pattern, layer):
            if target == "block":
                return f"backbone.layer{int(match[1]) - 1}.{int(match[2]) - 1}.{match[3]}"
            if target.startswith("shortcut"):
                place = target.removeprefix("shortcut.")
                return f"backbone.layer{int(match[1]) - 1}.{int(match[2]) - 1}.downsample.{place}"
            return match.expand(target)
    return None


def _as_plain(state: dict[str, Tensor]) -> None:
    """Weights of normalisations, known by the statistics beside them, as those of plain BatchNorm."""
    for name in [name for name in state if name.endswith(".running_var")]:
        weight = f"{name.removesuffix('running_var')}weight"
        if weight in state:
            state[weight] = state[weight].abs() + EPSILON


def _depth(state: Mapping[str, Tensor], path: Path) -> str:
    blocks: tuple[int | str, ...] = tuple(
        len({name.split(".")[2] for name in state if name.startswith(f"backbone.layer{k}.")}) for k in range(1, 5)
    )
    key = (*blocks, "bottleneck") if "backbone.layer1.0.conv3.weight" in state else blocks
    if key not in DEPTHS:
        raise FormatError(f"'{path}' has a ResNet of {', '.join(map(str, blocks))} blocks, which none here has")
    return DEPTHS[key]


def _unknown(state: Mapping[str, Tensor], path: Path) -> str:
    if any(name.startswith("classifier.0.convs.") for name in state):
        return (
            f"'{path}' is torchvision's DeepLabV3, whose head joins its branches otherwise and has a layer more, so "
            "that it has no place here; take its backbone with --backbone-only, and train a student from it"
        )
    return (
        f"'{path}' is no student of MiB, PLOP or WILSON (their layers are called body.mod1... head... cls.0...); "
        f"{_first(state)}"
    )


def _first(state: Mapping[str, Tensor]) -> str:
    return f"its first names are {', '.join(list(state)[:3])}"


def _harmless() -> list[Any]:
    """Numbers of NumPy, which these codes keep as scores beside the weights."""
    scalar = np.float64(0).__reduce__()[0]
    return [scalar, np.dtype, *{type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "b1")}]


def _items(content: Any) -> list[tuple[str, Any]]:
    return [(str(name), value) for name, value in content.items()] if isinstance(content, Mapping) else []
