"""What a report on singular values is about: a step of the incremental student, or a few-shot model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from stores.artefacts import Manifest, Store
from stores.models.folding import open_sets
from stores.models.heads import part_of, shapes_weights
from stores.models.start import MARK, stage_of
from stores.models.vectors import require_vectors
from wilss.errors import SpecError
from wilss.fewshot.build import build_pyramid
from wilss.fewshot.episodes.folds import Fold, fold_of
from wilss.fewshot.pyramid import PyramidBackbone
from wilss.fewshot.spec import FAMILIES, FewShotSpec, make_fewshot_spec
from wilss.models.card import WEIGHTS, FewShotCard, load_card
from wilss.models.files import load_state, load_student, no_weights
from wilss.models.lookup import model_folder
from wilss.nets.fit import load_into, require_fit
from wilss.nets.pretrained import Weights, find_weights
from wilss.nets.vectors import Vectors, VectorSets, vectors_between
from wilss.protocol import benchmarks

BODY = "backbone."
"""Beginning of the names of a backbone's tensors, those of its body and of others that it may have."""


@dataclass(frozen=True)
class Subject:
    """A tuned network and the bases it was tuned on.

    tuned: plain network in evaluation mode; its layers have the names in ``vectors``. sets: the bases. on: what they
    are, for people. run: passes images, float32 ``(N, 3, H, W)`` in [0, 1], through it. of_scenes: trained on the
    built-in world.
    """

    name: str
    benchmark: str
    title: str
    step: int | None
    on: str
    tuned: nn.Module
    sets: VectorSets
    vectors: Vectors
    canvas: int
    run: Callable[[Tensor], object]
    of_scenes: bool


def open_subject(name: str, store: Store, weights: Path | None) -> Subject:
    """Look up a checkpoint (digest or folder), or a few-shot model, ``heads:DIGEST``.

    Args:
        weights: folder of pretrained weights, for few-shot models that started from them.

    Raises ArtefactNotFoundError for one without singular values that were tuned.
    """
    return _head(name, store, weights) if name.startswith(MARK) else _step(name, store)


def _step(name: str, store: Store) -> Subject:
    folder = model_folder(name, store.root)
    stored, (model, card) = require_vectors(folder), load_student(folder)
    known = benchmarks().get(card.benchmark)
    return Subject(
        name=folder.resolve().name,
        benchmark=card.benchmark,
        title=f"step {card.step} of {card.benchmark}",
        step=card.step,
        on=f"checkpoint {stored.checkpoint[:12]}",
        tuned=model.backbone,
        sets=open_sets(stored, store),
        vectors=stored.vectors,
        canvas=card.input.canvas,
        run=model.features,
        of_scenes=known is not None and known.family == "scenes",
    )


def _head(name: str, store: Store, folder: Path | None) -> Subject:
    """The bases are the backbone that the training started from; the vectors are found again from both weights."""
    manifest = store.get("heads", name.removeprefix(MARK))
    path = store.path("heads", manifest.digest)
    card = load_card(path, FewShotCard)
    spec = make_fewshot_spec(card.architecture)
    if stage_of(manifest) != "head" or spec.train.tuning != "svf":
        raise SpecError(f"'{name}' was not tuned by its singular values; train one with wilss few-shot train --svf")
    plain = no_weights(spec.backbone.backbone, card.input)
    require_fit(lambda: build_pyramid(spec, plain, False), path / WEIGHTS, BODY)
    start, tuned = (_starting_backbone(name, manifest, spec, plain, store, folder) for _ in range(2))
    load_into(tuned, part_of(load_state(path), BODY), path)
    vectors = vectors_between(start, tuned, start.stage_names(spec.train.svf_stages))
    parent = "stage1" if "stage1" in manifest.parents and spec.start == "base" else "shapes"
    return Subject(
        name=manifest.digest,
        benchmark=spec.benchmark,
        title=f"{spec.head} of {_fold(spec).describe()}, {spec.shots} shot",
        step=None,
        on=f"{MARK}{manifest.parents[parent][:12]}" if parent in manifest.parents else "the weights that it began with",
        tuned=tuned,
        sets=VectorSets(start, tuple(vectors)),
        vectors=vectors,
        canvas=spec.data.canvas,
        run=tuned,
        of_scenes=FAMILIES[spec.benchmark] == "scenes",
    )


def _starting_backbone(
    name: str, manifest: Manifest, spec: FewShotSpec, plain: Weights, store: Store, folder: Path | None
) -> PyramidBackbone:
    """The backbone as the training found it. Raises SpecError when its weights are not those that are found now.

    Args:
        plain: no weights at all, for a backbone whose weights are in the store.
    """
    shapes = manifest.parents.get("shapes")
    stage1 = manifest.parents.get("stage1") if spec.start == "base" else None
    if stage1:
        began_with = plain
    elif shapes:
        began_with = shapes_weights(plain, store.get("heads", shapes).digest, store)
    else:
        began_with = _own_weights(name, manifest, spec, folder)
    torch.manual_seed(spec.seed)  # as in the training, for a backbone that starts at random
    backbone = build_pyramid(spec, began_with, spec.backbone.train_batchnorm)
    if stage1:
        path = store.path("heads", stage1)
        load_into(backbone, part_of(load_state(path), BODY), path)
    return backbone.eval()


def _own_weights(name: str, manifest: Manifest, spec: FewShotSpec, folder: Path | None) -> Weights:
    """Those that a backbone began with. A file that the card names is not opened: it is told by its bytes."""
    given = spec.backbone.weights if spec.backbone.weights == "none" else "auto"
    own = find_weights(spec.backbone.backbone, given, folder)
    if own.digest != manifest.recipe.get("weights"):
        raise SpecError(
            f"'{name}' began with other weights of {spec.backbone.backbone} than those that are found now, so that its "
            f"singular values cannot be told; put those it was trained from into a folder, as "
            f"{spec.backbone.backbone}.safetensors, and name the folder with --weights"
        )
    return own


def _fold(spec: FewShotSpec) -> Fold:
    return fold_of(spec.benchmark, spec.fold, spec.variant, spec.names)
