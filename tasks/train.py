"""Training tasks: base student, memory bank, one incremental step."""

from __future__ import annotations

import time

import torch

from stores.artefacts import ArtefactRef, Recipe
from stores.bank import load_bank, save_bank
from stores.checkpoints import CheckpointIndex, load_checkpoint, save_checkpoint
from stores.labels import LabelSet, LayerCache
from tasks.label import write_final_labels
from tasks.progress import stage_progress
from tasks.recipes import bank_recipe, base_recipe, checkpoint_recipe, labels_recipe, step_recipe
from tasks.workspace import Workspace, heavy_task, open_workspace
from wilss.data.steps import base_data, step_data
from wilss.errors import ArtefactNotFoundError
from wilss.learn.base import train_base
from wilss.learn.incremental import train_step
from wilss.learn.memory import build_bank
from wilss.nets.segmenter import build_segmenter
from wilss.spec import RunSpec, Settings


@heavy_task
def base_student(spec: RunSpec, settings: Settings) -> ArtefactRef:
    """Train the student of step 0 on masks of the base classes."""
    ws = open_workspace(spec, settings)
    recipe = base_recipe(ws)
    if found := ws.store.find(recipe):
        return found.ref
    with ws.store.build(recipe) as folder, stage_progress("base student") as progress:
        start = time.monotonic()
        data = base_data(ws.source, ws.protocol, spec.scenario, spec.data.canvas, spec.data.void)
        torch.manual_seed(spec.seed)
        model = build_segmenter(spec.student, ws.weights, ws.protocol.sizes(0)).to(ws.device)
        history = train_base(model, data, spec.base, spec.augment, ws.weights, spec.seed, progress)
        save_checkpoint(model, _index(ws, 0, history), folder)
        notes = {"seconds": time.monotonic() - start}
        return ws.store.publish(recipe, folder, {"images": len(data)}, notes).ref


@heavy_task
def memory_bank(spec: RunSpec, settings: Settings) -> ArtefactRef:
    """Crop instances of the base classes."""
    ws = open_workspace(spec, settings)
    recipe = bank_recipe(ws)
    if found := ws.store.find(recipe):
        return found.ref
    with ws.store.build(recipe) as folder:
        data = base_data(ws.source, ws.protocol, spec.scenario, spec.data.canvas, spec.data.void)
        bank = build_bank(data, spec.fmwiss.memory, spec.seed)
        save_bank(bank, folder)
        counts = {ws.class_names(0)[channel - 1]: n for channel, n in bank.counts().items()}
        return ws.store.publish(recipe, folder, counts).ref


@heavy_task
def step_student(spec: RunSpec, settings: Settings, step: int) -> ArtefactRef:
    """Learn the classes of step t >= 1 from its label set; the teacher's masks are kept as a label set of their own."""
    ws = open_workspace(spec, settings)
    recipe = step_recipe(ws, step)
    if found := ws.store.find(recipe):
        return found.ref
    require(ws, checkpoint_recipe(ws, step - 1), f"the student of step {step - 1}")
    require(ws, labels_recipe(ws, step), f"the label set of step {step}")
    with ws.store.build(recipe) as folder, stage_progress(f"step {step}: {spec.method}") as progress:
        start = time.monotonic()
        data = step_data(ws.source, ws.protocol, step, spec.scenario, spec.data.canvas)
        old_path = ws.store.path("checkpoints", recipe.parents["previous"])
        old, _ = load_checkpoint(old_path, ws.class_names(step - 1))
        labels = LabelSet.open(ws.store.path("labels", recipe.parents["labels"]))
        bank = load_bank(ws.store.path("banks", recipe.parents["bank"])) if "bank" in recipe.parents else None
        result = train_step(
            old.to(ws.device),
            data,
            LayerCache(labels),
            bank,
            spec.method,
            spec.fmwiss,
            spec.step,
            spec.augment,
            ws.weights,
            spec.seed,
            progress,
            f"step {step}",
        )
        write_final_labels(ws, step, data, result.method)
        save_checkpoint(result.student, _index(ws, step, result.history), folder)
        notes = {"seconds": time.monotonic() - start}
        return ws.store.publish(recipe, folder, {"images": len(data)}, notes).ref


def require(ws: Workspace, recipe: Recipe, what: str) -> None:
    """Raise ArtefactNotFoundError that says what is missing and how to make it."""
    if ws.store.find(recipe) is None:
        raise ArtefactNotFoundError(
            f"{what} ({recipe.kind} {recipe.digest[:12]}) does not exist in '{ws.store.root}'; run the step before "
            f"with the same options first, or the whole benchmark: wilss run {ws.protocol.name}"
        )


def _index(ws: Workspace, step: int, history: list[dict[str, float]]) -> CheckpointIndex:
    return CheckpointIndex(
        benchmark=ws.protocol.name,
        step=step,
        student=ws.spec.student,
        step_sizes=ws.protocol.sizes(step),
        classes=ws.class_names(step),
        class_ids=ws.protocol.seen(step),
        mean=ws.weights.mean,
        std=ws.weights.std,
        arguments=dict(ws.weights.arguments),
        canvas=ws.spec.data.canvas,
        history=history,
    )
