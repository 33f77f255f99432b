"""Label tasks: one per shard of a step's label set, then its publication."""

from __future__ import annotations

import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from stores.artefacts import ArtefactRef, Manifest, Recipe
from stores.labels.sets import LabelIndex, LabelWriter, layers_of
from tasks.again import Stage, ago, standing
from tasks.progress import say, stage_progress
from tasks.recipes import final_labels_recipe, labels_recipe
from tasks.workspace import Workspace, build_in_turn, build_once, heavy_task, open_workspace
from wilss.data.augment import normalise
from wilss.data.images import ImageTable, TaggedImages, same_size_batches
from wilss.data.steps import step_data
from wilss.errors import FormatError
from wilss.foundation.cosegment import PseudoLabels, cosegment
from wilss.foundation.seeds import seed_noise
from wilss.foundation.zoo import build_grouper, build_scorer, require_known
from wilss.learn.methods.contract import Method
from wilss.spec import RunSpec, Settings

BATCH = 16


@heavy_task
def plan_labels(spec: RunSpec, settings: Settings, step: int) -> list[int]:
    """Shards of the step's label set that are still to be written; empty when it is published."""
    ws = open_workspace(spec, settings)
    recipe = labels_recipe(ws, step)
    if _standing(ws, recipe, step):
        return []
    check_prompts(ws, step)
    data = step_data(ws.source, ws.protocol, step, spec.scenario, spec.data.canvas)
    with build_in_turn(ws.store, recipe) as folder:
        if _standing(ws, recipe, step):  # made by another process meanwhile
            return []
        writer = LabelWriter(folder, _index(ws, step, data))
        return [shard for shard in range(writer.index.n_shards) if not writer.is_done(shard)]


@heavy_task
def label_shard(spec: RunSpec, settings: Settings, step: int, shard: int) -> int:
    """Co-segment the images of one shard and write it; returns the number of images."""
    ws = open_workspace(spec, settings)
    data = step_data(ws.source, ws.protocol, step, spec.scenario, spec.data.canvas)
    index = _index(ws, step, data)
    recipe, rows = labels_recipe(ws, step), list(index.rows(shard))
    with build_in_turn(ws.store, recipe) as folder, stage_progress(f"labels, shard {shard}") as progress:
        if _standing(ws, recipe, step):  # made by another process meanwhile, as the shard below may have been
            return len(rows)
        writer = LabelWriter(folder, index)
        if writer.is_done(shard):
            return len(rows)
        parts: dict[str, list[Tensor]] = {}
        order: list[int] = []
        for batch in same_size_batches(data.images, rows, BATCH):
            labels = _label_batch(ws, step, data, batch, index.grid)
            for name, values in layers_of(labels).items():
                parts.setdefault(name, []).append(values)
            order += batch
            progress("label", len(order), len(rows), 0.0)
        back = torch.tensor(order).argsort()
        layers = {name: torch.cat(values)[back] for name, values in parts.items()}
        sizes, originals = _sizes(data.images, rows)
        writer.write(shard, layers, sizes, originals)
        return len(rows)


@heavy_task
def publish_labels(spec: RunSpec, settings: Settings, step: int) -> ArtefactRef:
    """Commit the label set once all its shards are written."""
    ws = open_workspace(spec, settings)
    recipe = labels_recipe(ws, step)

    def make(folder: Path) -> Manifest:
        data = step_data(ws.source, ws.protocol, step, spec.scenario, spec.data.canvas)
        writer = LabelWriter(folder, _index(ws, step, data))
        missing = [shard for shard in range(writer.index.n_shards) if not writer.is_done(shard)]
        if missing:
            raise FormatError(f"shards {missing} of label set {recipe.digest[:12]} are not written; run the step again")
        counts = {"images": len(data), "shards": writer.index.n_shards}
        counts |= dict(zip(writer.index.classes, data.tags.sum(0).tolist(), strict=True))
        return ws.store.publish(recipe, folder, counts, _notes(ws, step))

    return build_once(ws.store, recipe, make, _stage(step), settings.again)


def _stage(step: int) -> Stage:
    return Stage("labels", f"label set of step {step}", step)


def _standing(ws: Workspace, recipe: Recipe, step: int) -> Manifest | None:
    return standing(ws.store, recipe, _stage(step), ws.settings.again)


def write_final_labels(ws: Workspace, step: int, data: TaggedImages, method: Method) -> ArtefactRef | None:
    """Store what the trained teacher takes for the masks; None for a method without a teacher."""
    recipe, stage = final_labels_recipe(ws, step), Stage("step", f"plug-in's masks of step {step}", step)
    if found := standing(ws.store, recipe, stage, ws.settings.again):
        say(f"{stage.title}: found, made {ago(found.created)}")
        return found.ref
    start = time.monotonic()
    with build_in_turn(ws.store, recipe) as folder:
        writer = None
        for shard_rows in _shards(_index(ws, step, data)):
            shard, rows = shard_rows
            masks: list[Tensor] = []
            order: list[int] = []
            for batch in same_size_batches(data.images, rows, BATCH):
                images = torch.stack([data.images.image(p) for p in batch]).float() / 255
                found_masks = method.final_masks(normalise(images, ws.weights.mean, ws.weights.std).to(ws.device))
                if found_masks is None:
                    folder.rmdir()
                    return None
                large = F.interpolate(found_masks.cpu(), images.shape[-2:], mode="bilinear") > 0.5
                masks.append(_pad(large & data.tags[batch][..., None, None], ws.spec.data.canvas))
                order += batch
            writer = writer or LabelWriter(folder, _index(ws, step, data).model_copy(update={"stages": ("final",)}))
            back = torch.tensor(order).argsort()
            writer.write(shard, {"final": torch.cat(masks)[back]}, *_sizes(data.images, rows))
        notes = {**_notes(ws, step), "seconds": time.monotonic() - start}
        return ws.store.publish(recipe, folder, {"images": len(data)}, notes).ref


def check_prompts(ws: Workspace, step: int) -> None:
    """Raise SpecError before any labelling when the scorer cannot know one of the step's classes."""
    scorer = build_scorer(ws.spec.foundation, ws.settings.weights, str(ws.device))
    names = [ws.source.classes[c - 1] for c in ws.protocol.steps[step]]
    require_known(scorer, {name: ws.prompts[name] for name in names})


def _label_batch(ws: Workspace, step: int, data: TaggedImages, batch: list[int], grid: tuple[int, int]) -> PseudoLabels:
    images = torch.stack([data.images.image(p) for p in batch]).float() / 255
    new = [ws.prompts[ws.source.classes[c - 1]] for c in ws.protocol.steps[step]]
    old = [ws.prompts[ws.source.classes[c - 1]] for c in ws.protocol.seen(step - 1)]
    foundation = ws.spec.foundation
    ids = [data.images.ids[p] for p in batch]
    labels = cosegment(
        images.to(ws.device),
        data.tags[batch],
        new,
        old if foundation.old_names else [],
        build_scorer(foundation, ws.settings.weights, str(ws.device)),
        build_grouper(foundation, ws.settings.weights, str(ws.device)),
        foundation.cosegment,
        seed_noise(ids, len(new), foundation.cosegment.n_seeds, ws.spec.seed),
    )
    canvas = ws.spec.data.canvas
    soft = F.interpolate(labels.soft, grid, mode="bilinear", align_corners=False)
    return PseudoLabels(_pad(labels.initial, canvas), _pad(labels.refined, canvas), soft, labels.agreement)


def _index(ws: Workspace, step: int, data: TaggedImages) -> LabelIndex:
    side = max(8, ws.spec.data.canvas // 8)
    return LabelIndex(
        ids=data.images.ids,
        classes=tuple(ws.source.classes[c - 1] for c in ws.protocol.steps[step]),
        tags=tuple(tuple(bool(v) for v in row) for row in data.tags.tolist()),
        canvas=ws.spec.data.canvas,
        grid=(side, side),
        stages=("initial", "refined"),
    )


def _shards(index: LabelIndex) -> list[tuple[int, list[int]]]:
    return [(shard, list(index.rows(shard))) for shard in range(index.n_shards)]


def _notes(ws: Workspace, step: int) -> dict[str, object]:
    data, voc = ws.settings.data, ws.settings.voc
    return {
        "benchmark": ws.protocol.name,
        "step": step,
        "class_ids": list(ws.protocol.steps[step]),
        "spec": ws.spec.model_dump(mode="json"),
        "data_root": str(data.resolve()) if data else None,
        "voc_root": str(voc.resolve()) if voc else None,
    }


def _sizes(images: ImageTable, rows: list[int]) -> tuple[Tensor, Tensor]:
    """Sizes on the canvas and of the files, int64 ``(N, 2)`` each."""
    canvas = torch.tensor([images.image(row).shape[-2:] for row in rows])
    originals = torch.tensor([images.original_size(row) for row in rows])
    return canvas, originals


def _pad(masks: Tensor, canvas: int) -> Tensor:
    height, width = masks.shape[-2:]
    return F.pad(masks, (0, canvas - width, 0, canvas - height))
