"""Training tasks: base student, memory bank, one incremental step."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from stores.artefacts import ArtefactRef, Manifest, Recipe
from stores.bank import load_bank, save_bank
from stores.checkpoints import CheckpointIndex, load_checkpoint, save_checkpoint, save_weights
from stores.labels import LabelSet, LayerCache
from stores.vectors import open_chain, save_vectors
from tasks.again import Stage, standing
from tasks.label import write_final_labels
from tasks.progress import say, stage_progress
from tasks.recipes import (
    bank_recipe,
    base_recipe,
    base_training,
    checkpoint_recipe,
    effective_settings,
    labels_recipe,
    step_recipe,
    uses_bank,
)
from tasks.workspace import Workspace, build_once, heavy_task, open_workspace
from wilss.data.steps import base_data, step_data
from wilss.errors import ArtefactNotFoundError, TrainingError
from wilss.learn.base import train_base
from wilss.learn.incremental import StepData, train_step
from wilss.learn.loop import Watch
from wilss.learn.memory import build_bank
from wilss.learn.state import last_good
from wilss.nets.segmenter import build_segmenter
from wilss.spec import RunSpec, Settings

STATE = "training.pt"
"""Training state in the staging folder: a run that was stopped goes on after its last finished epoch."""
LAST_GOOD = "last-good"


@heavy_task
def base_student(spec: RunSpec, settings: Settings) -> ArtefactRef:
    """Train the student of step 0 on masks of the base classes."""
    ws = open_workspace(spec, settings)
    recipe = base_recipe(ws)

    def make(folder: Path) -> Manifest:
        return _adopt(ws, recipe, folder, ws.start) if ws.start else _train_base(ws, recipe, folder)

    return build_once(ws.store, recipe, make, Stage("base", "base student"), settings.again)


def _train_base(ws: Workspace, recipe: Recipe, folder: Path) -> Manifest:
    start, spec = time.monotonic(), ws.spec
    data = base_data(ws.source, ws.protocol, spec.scenario, spec.data.canvas, spec.data.void)
    torch.manual_seed(spec.seed)
    model = build_segmenter(spec.student, ws.weights, ws.protocol.sizes(0)).to(ws.device)
    with stage_progress("base student") as progress, _keep_last_good(ws, 0, folder):
        watch = Watch("base", progress, folder / STATE)
        history = train_base(model, data, base_training(ws), spec.augment, ws.weights, spec.seed, watch)
    save_checkpoint(model, _index(ws, 0, history), folder)
    notes = {"seconds": time.monotonic() - start}
    return _publish(ws, recipe, folder, len(data), notes)


def _adopt(ws: Workspace, recipe: Recipe, folder: Path, start: Path) -> Manifest:
    """Take a checkpoint for step 0. Raises SpecError when it knows other classes than the benchmark's base step."""
    model, index = load_checkpoint(start, ws.class_names(0))
    model.merge_classifiers()  # whatever steps it was taught in, here they are step 0
    save_checkpoint(model, _index(ws, 0, index.history).model_copy(update={"canvas": index.canvas}), folder)
    return _publish(ws, recipe, folder, 0, {"start": str(start)})


@heavy_task
def memory_bank(spec: RunSpec, settings: Settings) -> ArtefactRef | None:
    """Crop instances of the base classes; None when there are no base images to cut them from."""
    ws = open_workspace(spec, settings)
    if not uses_bank(ws):
        say("no base images with masks, so there is no memory bank: nothing is pasted")
        return None
    recipe = bank_recipe(ws)

    def make(folder: Path) -> Manifest:
        data = base_data(ws.source, ws.protocol, spec.scenario, spec.data.canvas, spec.data.void)
        bank = build_bank(data, spec.fmwiss.memory, spec.seed)
        save_bank(bank, folder)
        counts = {ws.class_names(0)[channel - 1]: n for channel, n in bank.counts().items()}
        return ws.store.publish(recipe, folder, counts)

    return build_once(ws.store, recipe, make, Stage("bank", "memory bank"), settings.again)


@heavy_task
def step_student(spec: RunSpec, settings: Settings, step: int) -> ArtefactRef:
    """Learn the classes of step t >= 1 from its label set; the teacher's masks are kept as a label set of their own."""
    ws = open_workspace(spec, settings)
    recipe, stage = step_recipe(ws, step), Stage("step", f"student of step {step}", step)
    if standing(ws.store, recipe, stage, settings.again) is None:
        require(ws, checkpoint_recipe(ws, step - 1), f"the student of step {step - 1}")
        if spec.uses_labels:
            require(ws, labels_recipe(ws, step), f"the label set of step {step}")

    def make(folder: Path) -> Manifest:
        start = time.monotonic()
        images = step_data(ws.source, ws.protocol, step, spec.scenario, spec.data.canvas)
        previous = recipe.parents["previous"]
        old, _ = load_checkpoint(ws.store.path("checkpoints", previous), ws.class_names(step - 1))
        tuned = spec.step.tuning == "svf"
        bases, chain = open_chain(previous, old.backbone, ws.store) if tuned else (None, None)
        labels = LabelSet.open(ws.store.path("labels", recipe.parents["labels"])) if spec.uses_labels else None
        if labels:
            labels.require_rows(images.images.ids)
        bank = load_bank(ws.store.path("banks", recipe.parents["bank"])) if "bank" in recipe.parents else None
        with stage_progress(f"step {step}: {spec.method}") as progress, _keep_last_good(ws, step, folder):
            result = train_step(
                old.to(ws.device),
                StepData(images, LayerCache(labels) if labels else None, bank),
                spec.method,
                effective_settings(ws),
                spec.step,
                spec.augment,
                ws.weights,
                spec.seed,
                Watch(f"step {step}", progress, folder / STATE),
                chain,
            )
        write_final_labels(ws, step, images, result.method)
        save_checkpoint(result.student, _index(ws, step, result.history), folder)
        if bases:
            save_vectors(replace(bases, vectors=dict(result.vectors)), folder)
        notes = {"seconds": time.monotonic() - start}
        return _publish(ws, recipe, folder, len(images), notes)

    return build_once(ws.store, recipe, make, stage, settings.again)


def require(ws: Workspace, recipe: Recipe, what: str) -> None:
    """Raise ArtefactNotFoundError that says what is missing and how to make it."""
    if ws.store.find(recipe) is None:
        name = ws.protocol.name
        whole = f"wilss run with the YAML file of '{name}'" if ws.spec.custom else f"wilss run {name}"
        raise ArtefactNotFoundError(
            f"{what} ({recipe.kind} {recipe.digest[:12]}) does not exist in '{ws.store.root}'; run the step before "
            f"with the same options first, or the whole benchmark: {whole}"
        )


@contextmanager
def _keep_last_good(ws: Workspace, step: int, folder: Path) -> Iterator[None]:
    """When training breaks off, leave the student of the last finite epoch as a checkpoint and say where."""
    try:
        yield
    except TrainingError as error:
        kept = last_good(folder / STATE)
        if kept is None:
            raise TrainingError(f"{error}. No epoch had been finished, so there is nothing to keep") from error
        weights, history = kept
        (folder / LAST_GOOD).mkdir(exist_ok=True)
        save_weights(weights, _index(ws, step, history), folder / LAST_GOOD)
        raise TrainingError(
            f"{error}. The student of epoch {len(history)} is kept in '{folder / LAST_GOOD}' (wilss predict takes it)"
        ) from error


def _publish(ws: Workspace, recipe: Recipe, folder: Path, images: int, notes: dict[str, object]) -> Manifest:
    """Commit a checkpoint; what only a resumed training needs goes."""
    (folder / STATE).unlink(missing_ok=True)
    shutil.rmtree(folder / LAST_GOOD, ignore_errors=True)
    return ws.store.publish(recipe, folder, {"images": images}, notes)


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
