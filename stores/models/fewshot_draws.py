"""What draws the training batches of few-shot networks from the data of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import torch

from stores.plans.fewshot_run import FewShotRun
from stores.plans.shapes import shapes_list, shapes_source
from wilss.fewshot.episodes.batches import Augmented, EpisodeImages, mix_episodes
from wilss.fewshot.episodes.draw import Sampler
from wilss.fewshot.episodes.spec import EpisodeAugmentSpec
from wilss.fewshot.heads.contract import EpisodeBatch
from wilss.learn.base import MaskedBatch

B = TypeVar("B")


@dataclass(frozen=True)
class Draws(Generic[B]):
    """Batches by the positions of their images, or of their queries, among ``ids``; ``generator`` decides in it."""

    ids: tuple[str, ...]
    draw: Callable[[list[int]], B]
    generator: torch.Generator


def draw_silhouettes(run: FewShotRun) -> Draws[MaskedBatch]:
    """Scenes of random silhouettes, with all of them as classes."""
    shapes = run.spec.shapes
    assert shapes is not None
    source, side = shapes_source(run.session, shapes), shapes.world.image_size
    ids, generator = source.ids("train"), torch.Generator().manual_seed(shapes.seed)
    classes = tuple(range(1, shapes.silhouettes + 1))
    data = EpisodeImages(source, ids, side, run.session.room)
    draws = Augmented(data, shapes.augment, side, classes, run.weights.mean, generator, run.device)
    return Draws(ids, partial(draws.base_classes, novel="background"), generator)


def draw_base_classes(run: FewShotRun) -> Draws[MaskedBatch]:
    """Images of stage 1 with the base classes of the fold."""
    spec, ids = run.spec, run.stage1_ids()
    generator = torch.Generator().manual_seed(spec.seed)
    draws = _augmented(run, ids, spec.augment1, spec.crop1, generator)
    return Draws(ids, partial(draws.base_classes, novel=spec.stage1.novel), generator)


def draw_training_episodes(run: FewShotRun) -> Draws[EpisodeBatch]:
    """Episodes of the base classes."""
    spec, lists = run.spec, run.lists("train")
    ids, generator = tuple(image.image_id for image in lists.images), torch.Generator().manual_seed(spec.seed)
    sampler = Sampler(lists, "image", spec.shots, spec.seed)
    return Draws(ids, _augmented(run, ids, spec.augment, spec.size, generator).of(sampler), generator)


def with_silhouettes(run: FewShotRun, usual: Draws[EpisodeBatch]) -> Draws[EpisodeBatch]:
    """Let episodes about random silhouettes stand in for some batches, where the specification says so."""
    spec, shapes = run.spec, run.spec.shapes
    if shapes is None or not spec.silhouette_share:
        return usual
    lists = shapes_list(run.session, shapes, spec.shots)
    ids = [image.image_id for image in lists.images]
    data = EpisodeImages(shapes_source(run.session, shapes), ids, shapes.world.image_size, run.session.room)
    draws = Augmented(data, spec.augment, spec.size, (), run.weights.mean, usual.generator, run.device)
    other = draws.of(Sampler(lists, "image", spec.shots, spec.seed))
    draw = mix_episodes(usual.draw, other, len(ids), spec.silhouette_share, usual.generator)
    names = tuple(f"{i} (or a scene of silhouettes)" for i in usual.ids)
    return Draws(names, draw, usual.generator)


def _augmented(
    run: FewShotRun, ids: Sequence[str], augment: EpisodeAugmentSpec, crop: int, generator: torch.Generator
) -> Augmented:
    data = EpisodeImages(run.train, ids, run.spec.data.canvas, run.session.room)
    return Augmented(data, augment, crop, run.fold.base, run.weights.mean, generator, run.device)
