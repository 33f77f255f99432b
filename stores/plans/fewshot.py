"""The plan of a few-shot run: what determines each of its artefacts. The same facts give the same digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stores.artefacts import Recipe
from stores.plans.plan import Node, Plan
from wilss.data.source import Split
from wilss.digest import ALGORITHM_VERSION, FEWSHOT_VERSION, code_version
from wilss.fewshot.episodes.folds import Fold
from wilss.fewshot.grid import row_name
from wilss.fewshot.spec import FAMILIES, FewShotSpec

TRAINING = ("areas", "shapes", "stage1", "head")
"""Stages of a training, and (below) of a scoring, as ``--again`` calls them."""
SCORING = ("areas", "episodes", "scores")
SPLITS: tuple[Split, Split] = ("eval", "train")
"""Novel classes in test images, and base classes in training images."""
PARTS = {"eval": "novel classes", "train": "base classes"}


@dataclass(frozen=True)
class FewShotIngredients:
    """What the recipes of a run are made of.

    data: split -> fingerprint of its source. weights: digest of the backbone's, as they were found. shapes: recipe of
    the pretraining on silhouettes, where there is one.
    """

    spec: FewShotSpec
    fold: Fold
    data: Mapping[Split, str]
    weights: str
    shapes: Recipe | None

    @property
    def pretrained(self) -> dict[str, Recipe]:
        """The parent of what starts from the pretraining on silhouettes."""
        return {"shapes": self.shapes} if self.shapes else {}


def plan_fewshot(of: FewShotIngredients) -> Plan:
    """Every node of a run, parents first."""
    return Plan(_nodes(of))


def _nodes(of: FewShotIngredients) -> Iterator[Node]:
    spec = of.spec
    if FAMILIES[spec.benchmark] != "scenes":  # of photographs once a store, as COCO takes minutes
        for split in SPLITS:
            yield Node(f"areas {split}", _areas(of, split), "areas", f"objects in the images ({split})")
    if of.shapes:
        yield Node("silhouettes", of.shapes, "shapes", "silhouettes")
    stage1 = _stage1(of) if spec.needs_stage1 else None
    if stage1:
        yield Node("stage 1", stage1, "stage1", "stage 1")
    head = _head(of, stage1)
    yield Node("head", head, "head", row_name(spec.head, spec.train.tuning, spec.shots))
    for split in SPLITS:
        episodes = _episodes(of, split)
        yield Node(f"episodes {split}", episodes, "episodes", f"episodes ({PARTS[split]})")
        yield Node(f"scores {split}", _scores(of, head, episodes), "scores", f"scores ({PARTS[split]})")


def _areas(of: FewShotIngredients, split: Split) -> Recipe:
    """Classes of all images of a split, and their sizes."""
    return Recipe("episodes", {"version": FEWSHOT_VERSION, "stage": "areas", "data": of.data[split], "split": split})


def _stage1(of: FewShotIngredients) -> Recipe:
    """The PSPNet of a fold's base classes."""
    spec = of.spec
    facts = {
        **_training_facts(of),
        "backbone": spec.backbone.plain({"weights", "train_batchnorm"}),  # BatchNorm always learns here
        "stage": "stage 1",
        "crop": spec.crop1,
        "augment": spec.augment1.plain(),
        "psp": spec.psp.plain(),
        "train": spec.stage1.plain({"decoder"}),
        "keeps decoder": spec.keeps_decoder,
    }
    return Recipe("heads", facts, of.pretrained)


def _head(of: FewShotIngredients, stage1: Recipe | None) -> Recipe:
    """The few-shot model, and through its parents the stages before it."""
    spec = of.spec
    facts = {
        **_training_facts(of),
        "stage": "head",
        "head": spec.head,
        **code_version(spec.entry.version, spec.entry.source),
        "settings": spec.head_settings.plain() if spec.head_settings else None,
        "shots": spec.shots,
        "lists": spec.lists,
        "size": spec.size,
        "start": spec.start,
        "augment": spec.augment.plain(),
        "train": spec.train.plain() if spec.is_trained else None,
        **({"silhouettes": spec.silhouette_share} if spec.silhouette_share else {}),
        **({} if spec.is_trained else {"threshold": "of a sample"}),
    }
    return Recipe("heads", facts, {**of.pretrained, **({"stage1": stage1} if stage1 else {})})


def _episodes(of: FewShotIngredients, split: Split) -> Recipe:
    """Frozen episodes: of the novel classes, or (``train``) of the base classes in training images."""
    spec = of.spec
    facts = {
        "version": [ALGORITHM_VERSION, FEWSHOT_VERSION],
        "data": of.data[split],
        "fold": of.fold.describe(),
        "classes": list(of.fold.wanted(split)),
        "split": split,
        "lists": spec.lists if split == "train" else "unfiltered",
        "rule": spec.rule,
        "shots": spec.shots,
        "seed": spec.episode_seed,
        "min_area": spec.min_area,
        "count": spec.episodes if split == "eval" else spec.base_episodes,
    }
    return Recipe("episodes", facts)


def _scores(of: FewShotIngredients, head: Recipe, episodes: Recipe) -> Recipe:
    """What a model does in every frozen episode."""
    facts = {
        "version": [ALGORITHM_VERSION, FEWSHOT_VERSION],
        "size": of.spec.size,
        "resolution": of.spec.resolution,
    }
    return Recipe("evaluations", facts, {"head": head, "episodes": episodes})


def _training_facts(of: FewShotIngredients) -> dict[str, Any]:
    spec = of.spec
    return {
        "version": [ALGORITHM_VERSION, FEWSHOT_VERSION],
        "data": of.data["train"],
        "base": list(of.fold.base),
        "min_area": spec.min_area,
        "canvas": spec.data.canvas,
        "backbone": spec.backbone.plain({"weights"}),
        "weights": of.weights,
        "seed": spec.seed,
    }
