"""Evaluation tasks: the confusion matrix of a checkpoint, and the quality of label sets where truth is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, Field, model_validator
from torch import Tensor

from stores.artefacts import ArtefactRef, Manifest
from stores.checkpoints import load_checkpoint, normalisation
from stores.labels import LabelSet
from tasks.again import Stage, standing
from tasks.progress import stage_progress
from tasks.recipes import checkpoint_recipe, evaluation_recipe
from tasks.train import require
from tasks.workspace import Workspace, build_once, heavy_task, open_workspace
from wilss.data.images import to_canvas
from wilss.data.source import VOID
from wilss.data.steps import evaluation_data
from wilss.measure.confusion import mask_iou, mask_ratio
from wilss.measure.score import score_crops, score_images
from wilss.outside import checked, read_json
from wilss.spec import RunSpec, Settings

AGAIN = "delete its folder and run again"
CONFUSION = "confusion.json"
Pixels = Annotated[int, Field(ge=0, lt=2**63)]


class Confusions(BaseModel):
    """Stored confusion matrices: rows are true classes, columns predicted ones, background first."""

    classes: tuple[str, ...]
    tables: dict[str, list[list[Pixels]]]

    @model_validator(mode="after")
    def _square(self) -> Confusions:
        side = len(self.classes) + 1
        if any(len(rows) != side or {len(row) for row in rows} != {side} for rows in self.tables.values()):
            raise ValueError(f"a table is not of {side} rows and columns, as its {len(self.classes)} classes ask for")
        return self

    def matrices(self) -> dict[str, Tensor]:
        """The tables by name, int64 ``(1 + classes, 1 + classes)``."""
        return {name: torch.tensor(rows) for name, rows in self.tables.items()}


@heavy_task
def evaluation(spec: RunSpec, settings: Settings, step: int) -> ArtefactRef:
    """Score the checkpoint of a step on all evaluation images, full size and, where wanted, centre crops."""
    ws = open_workspace(spec, settings)
    recipe, stage = evaluation_recipe(ws, step), Stage("evaluation", f"evaluation of step {step}", step)
    if standing(ws.store, recipe, stage, settings.again) is None:
        require(ws, checkpoint_recipe(ws, step), f"the student of step {step}")

    def make(folder: Path) -> Manifest:
        path = ws.store.path("checkpoints", recipe.parents["checkpoint"])
        model, index = load_checkpoint(path, ws.class_names(step))
        model, weights = model.to(ws.device), normalisation(index)
        tables: dict[str, Tensor] = {}
        with stage_progress(f"evaluate step {step}") as progress:
            for part in ("", *ws.source.further_eval):
                data = evaluation_data(ws.source, ws.protocol, step, spec.data.canvas, part)
                name = f"{part} " if part else ""
                tables[f"{name}full"] = score_images(model, data, weights, progress=progress)
                if spec.data.eval_crop:
                    tables[f"{name}crop"] = score_crops(model, data, weights, spec.data.eval_crop, progress=progress)
        content = {"classes": index.classes, "tables": {name: table.tolist() for name, table in tables.items()}}
        (folder / CONFUSION).write_text(json.dumps(content))
        counts = {"images": len(ws.source.ids("eval")), "pixels": int(tables["full"].sum())}
        return ws.store.publish(recipe, folder, counts)

    return build_once(ws.store, recipe, make, stage, settings.again)


def read_confusions(ws: Workspace, step: int) -> dict[str, torch.Tensor]:
    """The stored confusion matrices of a step, int64: "full" (full-size images) and, where wanted, "crop".

    Further evaluation sets come after them, with their name before it: "voc full". Raises FormatError for damaged
    ones.
    """
    path = ws.store.path("evaluations", evaluation_recipe(ws, step).digest) / "confusion.json"
    return checked(Confusions, read_json(path, AGAIN), path, AGAIN).matrices()


def label_quality(ws: Workspace, manifest: Manifest) -> dict[str, dict[str, float | None]]:
    """IoU of every stage of a label set against the true masks: stage -> class name -> value, and "mean".

    None for a class that no mask shows: masks of a folder may be drawn for the base classes only. For the same reason
    an image whose mask lacks a class of its tags says nothing about that class. Read for the report only: no training
    code calls this, and the masks of later steps reach no loss.
    """
    labels = LabelSet.open(ws.store.path("labels", manifest.digest))
    class_ids = tuple(ws.source.classes.index(name) + 1 for name in labels.index.classes)
    sums = {stage: torch.zeros(len(class_ids), 2, dtype=torch.int64) for stage in labels.index.stages}
    known = torch.zeros(len(class_ids), dtype=torch.bool)
    for shard in range(labels.index.n_shards):
        rows = labels.index.rows(shard)
        truth, shown = _truth(ws, labels, rows, class_ids)
        counted = shown | ~torch.tensor(labels.index.tags[rows.start : rows.stop])
        known |= shown.any(0)
        for stage in sums:
            sums[stage] += mask_iou(labels.read(stage, rows.start, rows.stop), truth, class_ids, counted)
    return {stage: _by_class(labels.index.classes, mask_ratio(values), known) for stage, values in sums.items()}


def _truth(ws: Workspace, labels: LabelSet, rows: range, class_ids: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """True masks on the canvas, uint8 ``(N, S, S)``, and which classes they show, bool ``(N, C)``, at any size."""
    canvas, wanted = labels.index.canvas, torch.tensor(class_ids)
    truth = torch.full((len(rows), canvas, canvas), VOID, dtype=torch.uint8)
    shown = torch.zeros(len(rows), len(class_ids), dtype=torch.bool)
    for place, row in enumerate(rows):
        if not ws.source.has_mask(labels.index.ids[row]):
            continue  # void: nothing to compare with
        whole_mask = ws.source.mask(labels.index.ids[row])
        shown[place] = (whole_mask.flatten() == wanted[:, None]).any(1)
        mask = to_canvas(whole_mask[None], canvas, nearest=True)[0]
        truth[place, : mask.shape[0], : mask.shape[1]] = mask
    return truth, shown


def _by_class(classes: tuple[str, ...], ratio: Tensor, known: Tensor) -> dict[str, float | None]:
    ratio = ratio.where(known, torch.nan)
    table: dict[str, float | None] = {
        name: None if torch.isnan(value) else float(value) for name, value in zip(classes, ratio, strict=True)
    }
    return {**table, "mean": None if torch.isnan(ratio.nanmean()) else float(ratio.nanmean())}
