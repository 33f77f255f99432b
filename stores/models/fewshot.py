"""Few-shot networks of a run: built upon what is in the store, trained ones loaded, and what is told of a training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import torch

from stores.artefacts import ArtefactRef, Manifest, Store, read_manifest
from stores.models.files import ModelNotes, publish_model
from stores.models.heads import part_of, shapes_weights
from stores.models.training import STATE
from stores.plans.fewshot_run import FewShotRun
from stores.plans.plan import Node
from wilss.data.source import Split
from wilss.errors import ArtefactNotFoundError
from wilss.fewshot.build import build_model, build_stage1
from wilss.fewshot.episodes.draw import Episode
from wilss.fewshot.episodes.folds import Fold
from wilss.fewshot.model import FewShotModel
from wilss.fewshot.predict import Prediction, predict_episodes
from wilss.fewshot.psp import PspNet
from wilss.fewshot.spec import FewShotSpec
from wilss.models.card import FewShotCard, FewShotKind
from wilss.models.files import input_of, load_state
from wilss.nets.fit import load_into
from wilss.nets.pretrained import Weights
from wilss.state import History

KINDS: dict[str, FewShotKind] = {"silhouettes": "silhouettes", "stage 1": "stage 1", "head": "few-shot"}
"""What the nodes of a plan make."""


def untrained_stage1(run: FewShotRun, shapes: ArtefactRef | None) -> PspNet:
    """The PSPNet of the base classes as its training begins, with the decoder of the silhouettes where that is kept."""
    model = build_stage1(run.spec, starting_weights(run, shapes), len(run.fold.base))
    if shapes and run.spec.keeps_decoder:
        folder = run.store.folder(shapes)
        load_into(model.decoder, part_of(load_state(folder), "decoder."), folder)
    return model


class HeadPlace(Protocol):
    """What a network is built with beside what is stored of it; a run is one, and so is a head that is opened by name.

    weights: of the backbone as it was found. store: where the networks are that it is built upon.
    """

    @property
    def spec(self) -> FewShotSpec:
        """What it was trained with."""
        ...

    @property
    def store(self) -> Store:
        """See the class."""
        ...

    @property
    def fold(self) -> Fold:
        """Its classes."""
        ...

    @property
    def weights(self) -> Weights:
        """See the class."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it is to be."""
        ...


def untrained_model(run: HeadPlace, shapes: ArtefactRef | None, stage1: ArtefactRef | None) -> FewShotModel:
    """The few-shot model as its training begins."""
    state = load_state(run.store.folder(stage1)) if stage1 else None
    return build_model(run.spec, starting_weights(run, shapes), len(run.fold.base), state)


def load_model(run: FewShotRun, head: ArtefactRef) -> FewShotModel:
    """A trained model, in evaluation mode."""
    return load_network(run, run.store.folder(head))


def load_network(run: HeadPlace, folder: Path) -> FewShotModel:
    """The same, of a folder."""
    made_from = read_manifest(folder).parents
    parents = {role: ArtefactRef(kind="heads", digest=digest) for role, digest in made_from.items()}
    torch.manual_seed(run.spec.seed)  # a backbone that starts at random is not stored where it is frozen
    model = untrained_model(run, parents.get("shapes"), parents.get("stage1"))
    load_into(model, {**model.state_dict(), **load_state(folder)}, folder)
    return model.to(run.device).eval()


def starting_weights(run: HeadPlace, shapes: ArtefactRef | None) -> Weights:
    """What stage 1 and heads start from: weights as they were found, or what silhouettes have made of them.

    Raises ArtefactNotFoundError when the backbone is to be pretrained on silhouettes and has not been.
    """
    if shapes is None:
        return run.weights
    if run.store.find(shapes) is None:
        raise ArtefactNotFoundError(
            f"no backbone that is pretrained on silhouettes is in '{run.store.root}'; train it, and what is built "
            "upon it, with: wilss few-shot train"
        )
    return shapes_weights(run.weights, shapes.digest, run.store)


def predictions(
    run: FewShotRun, model: FewShotModel, episodes: Sequence[Episode], split: Split
) -> Iterator[Prediction]:
    """What a model makes of episodes of a split."""
    base = run.fold.base if split == "train" else ()
    return predict_episodes(model, run.spec, run.source(split), episodes, base)


def card_of(run: FewShotRun, node: Node, history: History) -> FewShotCard:
    """The card of a trained network; one over silhouettes belongs to no fold."""
    fold = run.fold if node.name != "silhouettes" else None
    base = fold.base if fold else ()
    return FewShotCard(
        kind=KINDS[node.name],
        input=input_of(run.weights, run.spec.data.canvas),
        benchmark=run.spec.benchmark,
        architecture=run.spec.model_dump(mode="json"),
        fold=fold.describe() if fold else None,
        classes=tuple(run.fold.train_classes[c - 1] for c in base),
        class_ids=base,
        history=history,
        start=run.weights.digest,
    )


def publish_network(run: FewShotRun, node: Node, images: int, folder: Path, notes: ModelNotes) -> Manifest:
    """Commit a network; what only a resumed training needs goes."""
    (folder / STATE).unlink(missing_ok=True)
    return publish_model(run.store, node.recipe, folder, images, notes)
