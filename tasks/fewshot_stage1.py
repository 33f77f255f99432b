"""Few-shot tasks before a head: pretraining on random silhouettes, and stage 1 on the base classes of a fold."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from stores.artefacts import ArtefactRef, Manifest, Recipe
from stores.models.card import FewShotCard, ModelNotes
from stores.models.files import input_of, load_state, publish_model, save_model
from stores.models.heads import part_of
from stores.plans.shapes import shapes_recipe, shapes_source, shipped_for
from stores.progress import stage_progress
from tasks.again import Stage
from tasks.fewshot_workspace import FewShotWorkspace, open_fewshot, stage1_recipe
from tasks.workspace import build_once, heavy_task
from wilss.fewshot.build import build_shapes, build_stage1
from wilss.fewshot.episodes.batches import Augmented, EpisodeImages
from wilss.fewshot.psp import PspNet
from wilss.fewshot.sections import PspTrainSpec
from wilss.fewshot.spec import FewShotSpec
from wilss.fewshot.stage1 import train_stage1
from wilss.learn.base import MaskedBatch
from wilss.learn.loop import Watch
from wilss.learn.state import History
from wilss.nets.fit import load_into
from wilss.spec import Settings

STATE = "training.pt"
"""State of the last epoch in a staging folder."""
Stage1Kind = Literal["stage 1", "silhouettes"]


@heavy_task
def shapes_net(spec: FewShotSpec, settings: Settings) -> ArtefactRef:
    """Train the backbone on scenes of random silhouettes, or take what is shipped where it has the same recipe."""
    ws = open_fewshot(spec, settings)
    recipe = shapes_recipe(spec, ws.own_weights)
    shapes = spec.shapes
    assert shapes is not None
    source = shapes_source(shapes)
    ids = source.ids("train")

    def take(folder: Path) -> Manifest:
        shipped = shipped_for(spec, ws.own_weights)
        if shipped is None:
            return train(folder)
        card = card_of(ws, "silhouettes", shipped.history).model_copy(update={"licence": shipped.licence})
        save_model(shipped.state, card, folder)
        return publish_model(ws.store, recipe, folder, len(ids), ModelNotes(start=shipped.path.name))

    def train(folder: Path) -> Manifest:
        generator = torch.Generator().manual_seed(shapes.seed)
        data = EpisodeImages(source, ids, shapes.world.image_size)
        classes = tuple(range(1, shapes.silhouettes + 1))
        draws = Augmented(
            data, shapes.augment, shapes.world.image_size, classes, ws.own_weights.mean, generator, ws.device
        )
        torch.manual_seed(shapes.seed)
        model = build_shapes(spec, ws.own_weights)
        draw = partial(draws.base_classes, novel="background")
        return _train(ws, recipe, folder, "silhouettes", model, draw, ids, shapes.train, generator)

    return build_once(ws.store, recipe, take, Stage("shapes", "silhouettes"), settings.again)


@heavy_task
def stage1_net(spec: FewShotSpec, settings: Settings) -> ArtefactRef:
    """Train the PSPNet of the fold's base classes."""
    ws = open_fewshot(spec, settings)
    recipe = stage1_recipe(ws)

    def make(folder: Path) -> Manifest:
        ws.require_pretrained()
        ids = ws.stage1_ids()
        generator = torch.Generator().manual_seed(spec.seed)
        draw = partial(augmented(ws, ids, generator, stage1=True).base_classes, novel=spec.stage1.novel)
        torch.manual_seed(spec.seed)
        model = build_stage1(spec, ws.weights, len(ws.fold.base))
        if spec.keeps_decoder:
            shapes = ws.store.path("heads", shapes_recipe(spec, ws.own_weights).digest)
            load_into(model.decoder, part_of(load_state(shapes), "decoder."), shapes)
        return _train(ws, recipe, folder, "stage 1", model, draw, ids, spec.stage1, generator)

    return build_once(ws.store, recipe, make, Stage("stage1", "stage 1"), settings.again)


def augmented(ws: FewShotWorkspace, ids: Sequence[str], generator: torch.Generator, stage1: bool = False) -> Augmented:
    """What draws training batches from these training images."""
    spec = ws.spec
    data = EpisodeImages(ws.train, ids, spec.data.canvas)
    augment, crop = (spec.augment1, spec.crop1) if stage1 else (spec.augment, spec.size)
    return Augmented(data, augment, crop, ws.fold.base, ws.weights.mean, generator, ws.device)


def card_of(ws: FewShotWorkspace, kind: Stage1Kind | Literal["few-shot"], history: History) -> FewShotCard:
    """The card of a trained network; silhouettes belong to no fold."""
    spec, weights, fold = ws.spec, ws.weights if kind != "silhouettes" else ws.own_weights, ws.fold
    base = fold.base if kind != "silhouettes" else ()
    return FewShotCard(
        kind=kind,
        input=input_of(weights, spec.data.canvas),
        benchmark=spec.benchmark,
        architecture=spec.model_dump(mode="json"),
        fold=fold.describe() if base else None,
        classes=tuple(fold.train_classes[c - 1] for c in base),
        class_ids=base,
        history=history,
        start=weights.digest,
    )


def _train(
    ws: FewShotWorkspace,
    recipe: Recipe,
    folder: Path,
    kind: Stage1Kind,
    model: PspNet,
    draw: Callable[[list[int]], MaskedBatch],
    ids: tuple[str, ...],
    train: PspTrainSpec,
    generator: torch.Generator,
) -> Manifest:
    """Train a PSPNet in the staging folder and publish it."""
    start = time.monotonic()
    with stage_progress(kind) as progress:
        watch = Watch(kind, progress, folder / STATE)
        history = train_stage1(model.to(ws.device), draw, ids, train, generator, watch)
    save_model(model.state_dict(), card_of(ws, kind, history), folder)
    (folder / STATE).unlink(missing_ok=True)
    return publish_model(ws.store, recipe, folder, len(ids), ModelNotes(seconds=time.monotonic() - start))
