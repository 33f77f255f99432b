"""Few-shot models and stage-1 networks: safetensors weights and a JSON description; nothing in them is executed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from stores.artefacts import Store
from wilss.architecture import InputCard
from wilss.errors import ArtefactNotFoundError, FormatError
from wilss.nets.pretrained import Weights
from wilss.outside import checked, read_json

WEIGHTS, ABOUT = "model.safetensors", "about.json"
BACKBONE = "backbone.body."
"""Beginning of the names of a backbone's tensors."""
AGAIN = "delete it and run again to train it anew"


def save_head(state: Mapping[str, Tensor], about: Mapping[str, Any], folder: Path) -> None:
    """Write weights and what is known of them into a staging folder.

    Args:
        about: plain data: the specification, the fold's classes, the losses of every epoch.
    """
    save_file({name: value.contiguous() for name, value in state.items()}, folder / WEIGHTS)
    (folder / ABOUT).write_text(json.dumps(about, indent=1, allow_nan=False))


def load_head(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read both back. Raises ArtefactNotFoundError for a folder without them, FormatError for damaged ones."""
    about = load_about(folder)
    try:
        return load_file(folder / WEIGHTS), about
    except SafetensorError as error:
        raise _damaged(folder, error) from error


def part_of(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def load_about(folder: Path) -> dict[str, Any]:
    """What is known of a model: the mapping "spec", and "input", an `InputCard`, among it. Raises as `load_head`."""
    if not (folder / WEIGHTS).is_file() or not (folder / ABOUT).is_file():
        raise ArtefactNotFoundError(f"'{folder}' holds no few-shot model ({ABOUT} and {WEIGHTS})")
    about: dict[str, Any] = read_json(folder / ABOUT, AGAIN)
    lacking = [key for key in ("spec", "input") if not isinstance(about, dict) or not isinstance(about.get(key), dict)]
    if lacking:
        raise _damaged(folder, ValueError(f"{ABOUT} lacks the mapping '{lacking[0]}'"))
    checked(InputCard, about["input"], folder / ABOUT, AGAIN)
    return about


def has_backbone(folder: Path) -> bool:
    """Whether the backbone's tensors are stored too; those of a frozen one are not. Raises FormatError when damaged."""
    try:
        with safe_open(folder / WEIGHTS, "pt") as handle:
            return any(key.startswith(BACKBONE) for key in handle.keys())  # noqa: SIM118  (no mapping)
    except SafetensorError as error:
        raise _damaged(folder, error) from error


def shapes_weights(own: Weights, digest: str, store: Store) -> Weights:
    """The backbone of a network over silhouettes in the store, in place of ``own``."""
    path = store.path("heads", digest) / WEIGHTS
    return replace(own, path=path, hub=False, prefix=BACKBONE, digest=f"shapes:{digest}")


def _damaged(folder: Path, error: Exception) -> FormatError:
    return FormatError(f"'{folder}' is damaged ({error}); {AGAIN}")
