"""What every few-shot task needs: fold, data, lists and store, opened once; and what determines artefacts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from stores.artefacts import Manifest, Recipe, Store
from stores.plans.shapes import pretrained_weights, shapes_recipe, shapes_source
from tasks.again import Stage
from tasks.workspace import build_once, open_source
from wilss.data.source import Source, Split
from wilss.device import require_device, resolve_device
from wilss.digest import ALGORITHM_VERSION, FEWSHOT_VERSION, code_version
from wilss.errors import ArtefactNotFoundError, DataError, DataNotFoundError
from wilss.fewshot.build import HEADS
from wilss.fewshot.episodes.areas import load_areas, write_areas
from wilss.fewshot.episodes.folds import Fold, fold_of
from wilss.fewshot.episodes.lists import (
    MIN_AREA,
    EpisodeList,
    ImageClasses,
    ListKind,
    build_list,
    eval_list,
    read_areas,
    train_list,
)
from wilss.fewshot.sections import ShapesSpec
from wilss.fewshot.shipped import read_shapes
from wilss.fewshot.spec import FAMILIES, FewShotSpec
from wilss.nets.pretrained import Weights, find_weights
from wilss.spec import Settings

AREAS = "areas.json"
SIDE = 473
"""Pixels of the square for which `MIN_AREA` was made."""


@dataclass(frozen=True)
class FewShotWorkspace:
    """Surroundings of one few-shot run.

    train, test: the same data unless the benchmark crosses two. own_weights: of the backbone as it was found.
    weights: what stage 1 and heads start from: the same, or what pretraining on silhouettes makes of them; then they
    are in the store only once `tasks.fewshot_stage1.shapes_net` has run.
    """

    spec: FewShotSpec
    settings: Settings
    fold: Fold
    train: Source
    test: Source
    store: Store
    own_weights: Weights
    weights: Weights

    @property
    def device(self) -> torch.device:
        """Where networks run."""
        return resolve_device(self.settings.device)

    def source(self, split: Split) -> Source:
        """Data of training or of the test."""
        return self.train if split == "train" else self.test

    def require_pretrained(self) -> None:
        """Raise ArtefactNotFoundError when the backbone is to be pretrained on silhouettes and has not been."""
        if self.spec.shapes is not None and self.store.find(shapes_recipe(self.spec, self.own_weights)) is None:
            raise ArtefactNotFoundError(
                f"no backbone that is pretrained on silhouettes is in '{self.settings.root}'; train it, and what is "
                "built upon it, with: wilss few-shot train"
            )

    def stage1_ids(self) -> tuple[str, ...]:
        """Images that stage 1 is trained on."""
        kind = self.spec.stage1.lists
        images = self._images("train") if kind == "all" else self.lists("train", kind).images
        return tuple(image.image_id for image in images)

    def lists(self, split: Split, kind: ListKind | None = None) -> EpisodeList:
        """Images that episodes of a split are drawn from; ``kind``: filtered or not, instead of the specification's."""
        areas = self._images(split)
        if split == "eval":
            return eval_list(areas, self.fold, self.spec.min_area)
        return train_list(areas, self.fold, kind or self.spec.lists, self.spec.min_area)

    def _images(self, split: Split) -> tuple[ImageClasses, ...]:
        kept = self.store if FAMILIES[self.spec.benchmark] != "scenes" else None
        return _areas(self.source(split), split, kept, self.settings.again)


@lru_cache(maxsize=4)
def open_fewshot(spec: FewShotSpec, settings: Settings) -> FewShotWorkspace:
    """Open data and store of a few-shot run.

    Raises DataNotFoundError, DataError, SpecError, FormatError or WeightsNotFoundError before anything is computed.
    """
    require_device(settings.device)
    fold = fold_of(spec.benchmark, spec.fold, spec.variant, spec.names)
    weights = find_weights(spec.backbone.backbone, spec.backbone.weights, settings.weights)
    crossing = FAMILIES[spec.benchmark] == "coco-voc"
    family = "coco" if crossing else FAMILIES[spec.benchmark]
    train = test = open_source(family, (), None, spec.data, settings)
    if crossing:
        if settings.voc is None:
            raise DataNotFoundError(f"{spec.benchmark} also needs the VOC folder (with JPEGImages) with --voc DIR")
        only_test = spec.data.model_copy(update={"train_list": spec.data.eval_list})
        test = open_source("voc", (), None, only_test, settings.model_copy(update={"data": settings.voc}))
    store = Store(settings.root)
    return FewShotWorkspace(spec, settings, fold, train, test, store, weights, pretrained_weights(spec, weights, store))


_AREAS: dict[tuple[int, Split], tuple[Source, tuple[ImageClasses, ...]]] = {}


def _areas(
    source: Source, split: Split, store: Store | None = None, again: tuple[str, ...] = ()
) -> tuple[ImageClasses, ...]:
    """Classes of every image of a split, read once per flow; of photographs once per store, as COCO takes minutes."""
    key = (id(source), split)
    if key not in _AREAS:
        areas = _read_areas(source, split) if store is None else _kept_areas(source, split, store, again)
        _AREAS[key] = (source, areas)  # the source is kept, so that its id stays its own
    return _AREAS[key][1]


def _read_areas(source: Source, split: Split) -> tuple[ImageClasses, ...]:
    return read_areas(source, [i for i in source.ids(split) if source.has_mask(i)])


def _kept_areas(source: Source, split: Split, store: Store, again: tuple[str, ...]) -> tuple[ImageClasses, ...]:
    facts = {"version": FEWSHOT_VERSION, "stage": "areas", "data": source.fingerprint, "split": split}
    recipe = Recipe("episodes", facts, {})

    def make(folder: Path) -> Manifest:
        areas = _read_areas(source, split)
        write_areas(areas, folder / AREAS)
        return store.publish(recipe, folder, {"images": len(areas)})

    build_once(store, recipe, make, Stage("areas", f"objects in the images ({split})"), again)
    return load_areas(store.path("episodes", recipe.digest) / AREAS)


def forget_fewshot() -> None:
    """Open data anew from now on."""
    open_fewshot.cache_clear()
    shapes_source.cache_clear()
    read_shapes.cache_clear()
    _AREAS.clear()


def shapes_list(spec: ShapesSpec, shots: int) -> EpisodeList:
    """Images with a silhouette large enough for an episode; silhouettes in too few of them are not wanted.

    Raises DataError when all silhouettes are in too few.
    """
    areas = _areas(shapes_source(spec), "train")
    least = round(MIN_AREA * (spec.world.image_size / SIDE) ** 2)
    counts = Counter(c for image in areas for c, area in image.areas.items() if area >= least)
    wanted = [c for c, count in counts.items() if count > shots]
    if not wanted:
        raise DataError(
            f"no silhouette is in more than {shots} of the {spec.images} images of shapes.images, which an episode "
            "takes; take more images, or shapes.share=0"
        )
    return build_list(areas, wanted, least)


def stage1_recipe(ws: FewShotWorkspace) -> Recipe:
    """The PSPNet of a fold's base classes."""
    spec = ws.spec
    facts = {
        **_training_facts(ws),
        "backbone": _backbone_facts(spec, {"weights", "train_batchnorm"}),  # BatchNorm always learns here
        "stage": "stage 1",
        "crop": spec.crop1,
        "augment": spec.augment1.plain(),
        "psp": spec.psp.plain(),
        "train": spec.stage1.plain({"decoder"}),
        "keeps decoder": spec.keeps_decoder,
    }
    return Recipe("heads", facts, _shapes_parent(ws))


def head_recipe(ws: FewShotWorkspace) -> Recipe:
    """The few-shot model, and through its parent the stage before it."""
    spec = ws.spec
    section, version = HEADS[spec.head].section, HEADS[spec.head].version
    facts = {
        **_training_facts(ws),
        "stage": "head",
        "head": spec.head,
        **code_version(version),
        "settings": getattr(spec, section).plain() if section else None,
        "shots": spec.shots,
        "lists": spec.lists,
        "size": spec.size,
        "start": spec.start,
        "augment": spec.augment.plain(),
        "train": spec.train.plain() if spec.is_trained else None,
        **({"silhouettes": spec.silhouette_share} if spec.silhouette_share else {}),
        **({} if spec.is_trained else {"threshold": "of a sample"}),
    }
    stage1 = {"stage1": stage1_recipe(ws).digest} if spec.needs_stage1 else {}
    return Recipe("heads", facts, {**_shapes_parent(ws), **stage1})


def episodes_recipe(ws: FewShotWorkspace, split: Split) -> Recipe:
    """Frozen episodes: of the novel classes, or (``train``) of the base classes in training images."""
    spec = ws.spec
    facts = {
        "version": [ALGORITHM_VERSION, FEWSHOT_VERSION],
        "data": ws.source(split).fingerprint,
        "fold": ws.fold.describe(),
        "classes": list(ws.fold.wanted(split)),
        "split": split,
        "lists": spec.lists if split == "train" else "unfiltered",
        "rule": spec.rule,
        "shots": spec.shots,
        "seed": spec.episode_seed,
        "min_area": spec.min_area,
        "count": spec.episodes if split == "eval" else spec.base_episodes,
    }
    return Recipe("episodes", facts, {})


def scores_recipe(ws: FewShotWorkspace, split: Split) -> Recipe:
    """What a model does in every frozen episode."""
    facts = {"version": [ALGORITHM_VERSION, FEWSHOT_VERSION], "size": ws.spec.size, "resolution": ws.spec.resolution}
    parents = {"head": head_recipe(ws).digest, "episodes": episodes_recipe(ws, split).digest}
    return Recipe("evaluations", facts, parents)


def _training_facts(ws: FewShotWorkspace) -> dict[str, Any]:
    spec = ws.spec
    return {
        "version": [ALGORITHM_VERSION, FEWSHOT_VERSION],
        "data": ws.train.fingerprint,
        "base": list(ws.fold.base),
        "min_area": spec.min_area,
        "canvas": spec.data.canvas,
        "backbone": _backbone_facts(spec, {"weights"}),
        "weights": ws.own_weights.digest,
        "seed": spec.seed,
    }


def _backbone_facts(spec: FewShotSpec, exclude: set[str]) -> dict[str, Any]:
    return spec.backbone.plain(exclude)


def _shapes_parent(ws: FewShotWorkspace) -> dict[str, str]:
    return {"shapes": shapes_recipe(ws.spec, ws.own_weights).digest} if ws.spec.shapes else {}
