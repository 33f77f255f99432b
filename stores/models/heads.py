"""Backbones within the weights of few-shot models and the stages before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from stores.artefacts import Store
from wilss.damage import require_stored
from wilss.models.card import WEIGHTS, model_files
from wilss.nets.fit import shapes_in
from wilss.nets.pretrained import Weights

BACKBONE = "backbone.body."
"""Beginning of the names of a backbone's tensors."""


def part_of(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def has_backbone(folder: Path) -> bool:
    """Whether the backbone's tensors are stored too; those of a frozen one are not. Raises FormatError when damaged."""
    return any(name.startswith(BACKBONE) for name in shapes_in(model_files(folder).weights))


def shapes_weights(own: Weights, digest: str, store: Store) -> Weights:
    """The backbone of a network over silhouettes in the store, in place of ``own``. Raises DamagedArtefactError."""
    path = store.path("heads", digest) / WEIGHTS
    require_stored(path)
    return replace(own, path=path, hub=False, prefix=BACKBONE, digest=f"shapes:{digest}")
