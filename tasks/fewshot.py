"""Few-shot tasks: a head, frozen episodes, scores."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from stores.artefacts import ArtefactRef, Manifest
from stores.models.card import ModelNotes
from stores.models.files import load_state, publish_model, save_model
from stores.plans.shapes import shapes_source
from stores.progress import say, stage_progress
from tasks.again import Stage
from tasks.fewshot_stage1 import STATE, augmented, card_of
from tasks.fewshot_workspace import (
    FewShotWorkspace,
    episodes_recipe,
    head_recipe,
    open_fewshot,
    scores_recipe,
    shapes_list,
    stage1_recipe,
)
from tasks.workspace import build_once, check_once, heavy_task
from wilss.data.source import Split
from wilss.errors import ArtefactNotFoundError, DataError, FormatError
from wilss.fewshot.build import build_model
from wilss.fewshot.episodes.batches import Augmented, DrawEpisodes, EpisodeImages, mix_episodes, require_visible
from wilss.fewshot.episodes.draw import Episode, Sampler
from wilss.fewshot.episodes.files import EpisodeFile, freeze_episodes, read_episodes, write_episodes
from wilss.fewshot.episodic import fit_threshold, train_episodic
from wilss.fewshot.grid import row_name
from wilss.fewshot.model import FewShotModel, trained_state
from wilss.fewshot.predict import Prediction, batch_size, predict_episodes
from wilss.fewshot.scores import EpisodeScores, episode_counts
from wilss.fewshot.spec import FewShotSpec
from wilss.learn.loop import Watch
from wilss.nets.fit import load_into
from wilss.outside import read_json
from wilss.spec import Settings

SPLITS: tuple[Split, Split] = ("eval", "train")
"""Novel classes in test images, and base classes in training images."""
PARTS = {"eval": "novel classes", "train": "base classes"}
EPISODES, SCORES = "episodes.json", "scores.json"
AGAIN = "delete its folder and run again"
N_FIT = 200
"""Training episodes on which an untrained head finds its threshold."""


@heavy_task
def prepare_fewshot(spec: FewShotSpec, settings: Settings) -> None:
    """Look at lists and classes before anything is trained.

    Raises DataError for a class with too few images, or with an object that is too small for the canvas.
    """
    ws = open_fewshot(spec, settings)
    for source in (ws.train, ws.test):
        check_once(source)
    Sampler(ws.lists("train"), "image", spec.shots, spec.seed)
    if spec.shapes is not None and spec.silhouette_share:
        shapes_list(spec.shapes, spec.shots)
    if spec.needs_stage1 and not ws.stage1_ids():
        raise DataError(f"no image is left for stage 1 of {ws.fold.describe()}; take unfiltered lists or more images")
    Sampler(ws.lists("eval"), spec.rule, spec.shots, spec.episode_seed)
    for split in SPLITS:
        require_visible(ws.source(split), ws.lists(split), spec.size, spec.resolution == "legacy")


@heavy_task
def fewshot_head(spec: FewShotSpec, settings: Settings) -> ArtefactRef:
    """Train a head over episodes of the base classes; an untrained baseline finds its threshold on them."""
    ws = open_fewshot(spec, settings)
    recipe = head_recipe(ws)

    def make(folder: Path) -> Manifest:
        start = time.monotonic()
        torch.manual_seed(spec.seed)
        model = _untrained(ws).to(ws.device)
        history = _train_head(ws, model, folder) if spec.is_trained else _fit_baseline(ws, model)
        state = trained_state(model, spec.train.tuning if spec.is_trained else "frozen")
        save_model(state, card_of(ws, "few-shot", history), folder)
        (folder / STATE).unlink(missing_ok=True)
        notes = ModelNotes(seconds=time.monotonic() - start)
        return publish_model(ws.store, recipe, folder, len(ws.lists("train").images), notes)

    title = row_name(spec.head, spec.train.tuning, spec.shots)
    return build_once(ws.store, recipe, make, Stage("head", title), settings.again)


def _train_head(ws: FewShotWorkspace, model: FewShotModel, folder: Path) -> list[dict[str, float]]:
    ids, draw, generator = _training_episodes(ws)
    names = tuple(f"{i} (or a scene of silhouettes)" for i in ids) if ws.spec.silhouette_share else ids
    with stage_progress(f"{ws.spec.head} ({ws.spec.train.tuning})") as progress:
        watch = Watch(ws.fold.describe(), progress, folder / STATE)
        draw = _with_silhouettes(ws, draw, generator)
        return train_episodic(model, draw, names, ws.spec.train, generator, watch)


def _fit_baseline(ws: FewShotWorkspace, model: FewShotModel) -> list[dict[str, float]]:
    ids, draw, generator = _training_episodes(ws)
    queries = torch.randperm(len(ids), generator=generator)[:N_FIT]
    fit_threshold(model, (draw(part.tolist()) for part in queries.split(batch_size(ws.spec.shots))))
    return []


def _training_episodes(ws: FewShotWorkspace) -> tuple[tuple[str, ...], DrawEpisodes, torch.Generator]:
    """Ids of the training images, what draws episodes with queries among them, and what decides in it."""
    lists = ws.lists("train")
    ids = tuple(image.image_id for image in lists.images)
    generator = torch.Generator().manual_seed(ws.spec.seed)
    sampler = Sampler(lists, "image", ws.spec.shots, ws.spec.seed)
    return ids, augmented(ws, ids, generator).of(sampler), generator


def _with_silhouettes(ws: FewShotWorkspace, draw: DrawEpisodes, generator: torch.Generator) -> DrawEpisodes:
    """Let episodes about random silhouettes stand in for some batches, where the specification says so."""
    spec, shapes = ws.spec, ws.spec.shapes
    if shapes is None or not spec.silhouette_share:
        return draw
    lists = shapes_list(shapes, spec.shots)
    ids = [image.image_id for image in lists.images]
    data = EpisodeImages(shapes_source(shapes), ids, shapes.world.image_size)
    draws = Augmented(data, spec.augment, spec.size, (), ws.weights.mean, generator, ws.device)
    silhouettes = draws.of(Sampler(lists, "image", spec.shots, spec.seed))
    return mix_episodes(draw, silhouettes, len(ids), spec.silhouette_share, generator)


@heavy_task
def frozen_episodes(spec: FewShotSpec, settings: Settings, split: Split) -> ArtefactRef:
    """Draw the episodes that every method meets."""
    ws = open_fewshot(spec, settings)
    recipe = episodes_recipe(ws, split)

    def make(folder: Path) -> Manifest:
        count = int(recipe.facts["count"])
        sampler = Sampler(ws.lists(split), spec.rule, spec.shots, spec.episode_seed)
        kind = spec.lists if split == "train" else "unfiltered"
        file = freeze_episodes(sampler, count, ws.fold, split, ws.source(split).fingerprint, kind)
        missing = sorted(set(sampler.lists.wanted) - {episode.class_id for episode in file.episodes})
        if missing:
            names = ", ".join(sampler.lists.name_of(c) for c in missing)
            say(f"{ws.fold.describe()}: {count} episodes ask for no object of class {names}; the mean leaves them out")
        write_episodes(file, folder / EPISODES)
        return ws.store.publish(recipe, folder, {"episodes": count}, {"fold": ws.fold.describe()})

    return build_once(ws.store, recipe, make, Stage("episodes", f"episodes ({PARTS[split]})"), settings.again)


@heavy_task
def fewshot_scores(spec: FewShotSpec, settings: Settings, split: Split) -> ArtefactRef:
    """Run a model over its frozen episodes."""
    ws = open_fewshot(spec, settings)
    recipe = scores_recipe(ws, split)

    def make(folder: Path) -> Manifest:
        model, episodes = load_model(ws), load_episodes(ws, split).episodes
        counts = []
        with stage_progress(f"episodes of {ws.fold.describe()}") as progress:
            for done, (_, found, truth) in enumerate(predictions(ws, model, episodes, split), start=1):
                counts.append(episode_counts(found, truth))
                progress("scored", done, len(episodes), 0.0)
        content = {"class_ids": [episode.class_id for episode in episodes], "counts": counts}
        (folder / SCORES).write_text(json.dumps(content))
        return ws.store.publish(recipe, folder, {"episodes": len(episodes)})

    return build_once(ws.store, recipe, make, Stage("scores", f"scores ({PARTS[split]})"), settings.again)


def read_scores(ws: FewShotWorkspace, split: Split) -> EpisodeScores:
    """Scores that are in the store."""
    path = ws.store.path("evaluations", scores_recipe(ws, split).digest) / SCORES
    content = read_json(path, AGAIN)
    try:
        scores = EpisodeScores(np.asarray(content["class_ids"], np.int64), np.asarray(content["counts"], np.int64))
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise FormatError(f"'{path}' is damaged ({error}); {AGAIN}") from error
    if scores.class_ids.ndim != 1 or scores.counts.shape != (len(scores.class_ids), 4):
        raise FormatError(f"'{path}' is damaged (class ids and counts are not of the same episodes); {AGAIN}")
    return scores


def load_episodes(ws: FewShotWorkspace, split: Split) -> EpisodeFile:
    """Frozen episodes that are in the store, held against the rules once more."""
    path = ws.store.path("episodes", episodes_recipe(ws, split).digest) / EPISODES
    source = ws.source(split)
    return read_episodes(path, ws.fold, source.fingerprint, source.ids(split))


def load_model(ws: FewShotWorkspace) -> FewShotModel:
    """The trained model of a specification, in evaluation mode.

    Raises ArtefactNotFoundError that says which command trains it.
    """
    found = ws.store.find(head_recipe(ws))
    if found is None:
        raise ArtefactNotFoundError(
            f"no '{row_name(ws.spec.head, ws.spec.train.tuning, ws.spec.shots)}' of {ws.fold.describe()}, seed "
            f"{ws.spec.seed} is in '{ws.settings.root}'; train it first, with the same options: wilss few-shot train"
        )
    torch.manual_seed(ws.spec.seed)  # a backbone that starts at random is not stored where it is frozen
    model = _untrained(ws)
    folder = ws.store.path("heads", found.digest)
    load_into(model, {**model.state_dict(), **load_state(folder)}, folder)
    return model.to(ws.device).eval()


def predictions(
    ws: FewShotWorkspace, model: FewShotModel, episodes: Sequence[Episode], split: Split
) -> Iterator[Prediction]:
    """What a model makes of episodes of a split."""
    base = ws.fold.base if split == "train" else ()
    return predict_episodes(model, ws.spec, ws.source(split), episodes, base)


def _untrained(ws: FewShotWorkspace) -> FewShotModel:
    ws.require_pretrained()
    stage1 = None
    if ws.spec.needs_stage1:
        stage1 = load_state(ws.store.path("heads", stage1_recipe(ws).digest))
    return build_model(ws.spec, ws.weights, len(ws.fold.base), stage1)


def folder_of(ws: FewShotWorkspace) -> Path:
    """Folder of a trained model."""
    return ws.store.path("heads", head_recipe(ws).digest)
