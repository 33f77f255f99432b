"""A trained few-shot head by its name, without the data that it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from stores.artefacts import Manifest, Store, read_manifest
from stores.models.fewshot import load_network
from stores.models.heads import has_backbone
from stores.models.start import MARK
from wilss.device import require_device
from wilss.errors import ArtefactNotFoundError, SpecError
from wilss.fewshot.episodes.folds import Fold, fold_of
from wilss.fewshot.own import FewShotSegmenter
from wilss.fewshot.spec import FewShotSpec, make_fewshot_spec
from wilss.layout import find_artefact
from wilss.models.card import FewShotCard, load_card
from wilss.models.files import no_weights
from wilss.nets.pretrained import Weights, find_weights


@dataclass(frozen=True)
class _Opened:
    """See `stores.models.fewshot.HeadPlace`."""

    spec: FewShotSpec
    store: Store
    fold: Fold
    weights: Weights
    device: torch.device


def open_head(name: str, root: Path, device: str = "auto", weights: Path | None = None) -> FewShotSegmenter:
    """A head that segments what it is shown.

    Args:
        name: (the first digits of) its digest, with or without "heads:" before it, or its folder.
        root: where digests, and the networks that a head builds upon, are looked up; a folder within a store has its
            own.
        weights: folder of pretrained weights, for a frozen backbone that nothing else has trained.

    Raises ArtefactNotFoundError where there is no such head or what it builds upon is gone, SpecError where its
    backbone began with other weights than those that are found, FormatError for damage.
    """
    place = require_device(device)
    folder, store = _found(name, root)
    card = load_card(folder, FewShotCard)
    if card.kind != "few-shot":
        raise ArtefactNotFoundError(
            f"'{name}' is a network of '{card.kind}', no head; name what few-shot train printed"
        )
    spec, manifest = make_fewshot_spec(card.architecture), read_manifest(folder)
    own = _weights(name, spec, manifest, card, folder, weights)
    fold = fold_of(spec.benchmark, spec.fold, spec.variant, spec.names)
    return FewShotSegmenter(load_network(_Opened(spec, store, fold, own, place), folder), spec)


def _found(name: str, root: Path) -> tuple[Path, Store]:
    path = Path(name)
    if not path.is_dir():
        return find_artefact(root, "heads", name.removeprefix(MARK)), Store(root)
    levels = path.resolve().parents
    within = len(levels) > 2 and levels[1].name == "heads"
    return path, Store(levels[2] if within else root)


def _weights(
    name: str, spec: FewShotSpec, manifest: Manifest, card: FewShotCard, folder: Path, given: Path | None
) -> Weights:
    """What the backbone is built from: nothing, where the store holds all of it; else what it began with."""
    on_stage1 = "stage1" in manifest.parents and spec.start == "base"
    if has_backbone(folder) or on_stage1 or "shapes" in manifest.parents:
        return no_weights(spec.backbone.backbone, card.input)
    own = find_weights(spec.backbone.backbone, "none" if spec.backbone.weights == "none" else "auto", given)
    if own.digest != manifest.recipe.get("weights", own.digest):
        raise SpecError(
            f"'{name}' was trained on other weights of {spec.backbone.backbone} than those that are found now; put "
            f"those into a folder, as {spec.backbone.backbone}.safetensors, and name the folder with --weights"
        )
    return own
