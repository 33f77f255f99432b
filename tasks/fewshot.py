"""Few-shot tasks around a head: lists, frozen episodes, scores."""

from __future__ import annotations

from pathlib import Path

from stores.artefacts import ArtefactRef, Manifest
from stores.episodes import EPISODES, draw_episodes, load_episodes, save_scores
from stores.models.fewshot import load_model, predictions
from stores.plans.fewshot import SPLITS
from stores.plans.fewshot_run import AREAS, FewShotRun
from stores.plans.shapes import shapes_list
from stores.progress import stage_progress
from tasks.base import heavy_task, named
from wilss.data.source import Split
from wilss.errors import DataError
from wilss.fewshot.episodes.areas import write_areas
from wilss.fewshot.episodes.batches import require_visible
from wilss.fewshot.episodes.draw import Sampler
from wilss.fewshot.episodes.files import write_episodes
from wilss.fewshot.episodes.lists import read_areas
from wilss.fewshot.scores import episode_counts


@heavy_task(name="areas", task_run_name=named("objects in the images ({split})"))
def image_areas(run: FewShotRun, split: Split) -> ArtefactRef:
    """Read classes and areas of all images off their masks, for every later run over the same data."""
    node, source = run.plan[f"areas {split}"], run.source(split)

    def make(folder: Path) -> Manifest:
        run.session.check(source)
        areas = read_areas(source, run.masked_ids(split))
        write_areas(areas, folder / AREAS)
        return run.store.publish(node.recipe, folder, {"images": len(areas)})

    return run.session.obtain(node, make)


@heavy_task(name="lists")
def prepare_fewshot(run: FewShotRun) -> None:
    """Look at lists and classes before anything is trained.

    Raises DataError for a class with too few images, or with an object that is too small for the canvas.
    """
    spec = run.spec
    for source in (run.train, run.test):
        run.session.check(source)
    Sampler(run.lists("train"), "image", spec.shots, spec.seed)
    if spec.shapes is not None and spec.silhouette_share:
        shapes_list(run.session, spec.shapes, spec.shots)
    if spec.needs_stage1 and not run.stage1_ids():
        raise DataError(f"no image is left for stage 1 of {run.fold.describe()}; take unfiltered lists or more images")
    Sampler(run.lists("eval"), spec.rule, spec.shots, spec.episode_seed)
    for split in SPLITS:
        require_visible(run.source(split), run.lists(split), spec.size, spec.resolution == "legacy")


@heavy_task(name="episodes", task_run_name=named("episodes ({split})"))
def frozen_episodes(run: FewShotRun, split: Split) -> ArtefactRef:
    """Draw the episodes that every method meets."""
    node = run.plan[f"episodes {split}"]

    def make(folder: Path) -> Manifest:
        file = draw_episodes(run, split)
        write_episodes(file, folder / EPISODES)
        return run.store.publish(node.recipe, folder, {"episodes": len(file.episodes)}, {"fold": run.fold.describe()})

    return run.session.obtain(node, make)


@heavy_task(name="scores", task_run_name=named("scores ({split})"))
def fewshot_scores(run: FewShotRun, split: Split, head: ArtefactRef, episodes: ArtefactRef) -> ArtefactRef:
    """Run a model over frozen episodes."""
    node = run.plan[f"scores {split}"]

    def make(folder: Path) -> Manifest:
        model, drawn = load_model(run, head), load_episodes(run, split, episodes)
        counts = []
        with stage_progress(f"episodes of {run.fold.describe()}") as progress:
            for done, (_, found, truth) in enumerate(predictions(run, model, drawn, split), start=1):
                counts.append(episode_counts(found, truth))
                progress("scored", done, len(drawn), 0.0)
        save_scores([episode.class_id for episode in drawn], counts, folder)
        return run.store.publish(node.recipe, folder, {"episodes": len(drawn)})

    return run.session.obtain(node, make)
