"""Trainings of students: step 0 with masks, and a step t >= 1; each leaves model and card in a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from stores.artefacts import ArtefactRef
from stores.banks import load_bank
from stores.labels.building import keep_teacher_labels
from stores.labels.cache import LayerCache
from stores.labels.card import has_own_tags
from stores.labels.mend import read_mended
from stores.labels.sets import LabelSet
from stores.manifests import read_manifest
from stores.models.training import STATE, card_of
from stores.models.vectors import open_chain, save_vectors
from stores.plans.run import Run
from wilss.learn.base import train_base
from wilss.learn.incremental import StepData, train_step
from wilss.learn.loop import Watch
from wilss.learn.memory import MemoryBank
from wilss.models.files import load_student, save_model
from wilss.nets.segmenter import build_segmenter
from wilss.parallel.ranks import here
from wilss.progress import Progress
from wilss.state import HELD_OUT, History, best_epoch


def learn_base(run: Run, folder: Path, progress: Progress) -> int:
    """Train the student of step 0; returns how many images it learnt from."""
    spec, training = run.spec, run.ingredients.base_training
    data, held_out = run.lists.base_parts(spec.data.canvas, spec.data.void, training.held_out, spec.seed)
    torch.manual_seed(spec.seed)
    model = build_segmenter(spec.student, run.weights, run.protocol.sizes(0)).to(run.device)
    watch = Watch("base", progress, folder / STATE)
    history = train_base(model, data, training, spec.augment, spec.seed, watch, held_out)
    if held_out is not None:
        run.session.say(_told(history, training.epochs, len(held_out)))
    if here().rank == 0:
        save_model(model.state_dict(), card_of(run, 0, history), folder)
    return len(data)


def _told(history: History, epochs: int, held_out: int) -> str:
    best = best_epoch(history)
    ended = f", ended before {epochs}" if len(history) < epochs else ""
    score = history[best - 1][HELD_OUT]
    return (
        f"base student: as after epoch {best} of {len(history)}{ended}; mIoU {100 * score:.1f} on {held_out} held out"
    )


def learn_step(
    run: Run,
    folder: Path,
    progress: Progress,
    step: int,
    previous: ArtefactRef,
    labels: ArtefactRef | None,
    bank: ArtefactRef | None,
) -> int:
    """Learn the classes of step t >= 1; returns how many images it learnt from.

    Args:
        previous, labels, bank: see `tasks.train.step_student`.
    """
    spec = run.spec
    old, _ = load_student(run.store.folder(previous), run.class_names(step - 1))
    tuned = spec.step.tuning == "svf"
    bases, chain = open_chain(previous.digest, old.backbone, run.store) if tuned else (None, None)
    data = step_data(run, step, labels, bank)
    watch = Watch(f"step {step}", progress, folder / STATE)
    how = (spec.method, run.ingredients.settings, spec.step, spec.augment, spec.seed)
    result = train_step(old.to(run.device), data, *how, watch, chain)
    if here().rank == 0:
        keep_teacher_labels(run, step, data.images, result.method)
        save_model(result.student.state_dict(), card_of(run, step, result.history), folder)
        if bases:
            save_vectors(replace(bases, vectors=dict(result.vectors)), folder)
    return len(data.images)


def step_data(run: Run, step: int, labels: ArtefactRef | None, bank: ArtefactRef | None) -> StepData:
    """Images of the step that have a row in the label set, their masks, and instances to paste."""
    instances = load_bank(run.store.folder(bank)) if bank else None
    if labels is None:
        return StepData(run.tagged(step), None, instances)
    return read_mended(run, step, labels, lambda masks: _masked(run, step, masks, instances))


def _masked(run: Run, step: int, masks: LabelSet, instances: MemoryBank | None) -> StepData:
    canvas, images = run.spec.data.canvas, run.tagged(step)
    tags = dict(zip(images.images.ids, images.tags.numpy(), strict=True))
    own_tags = has_own_tags(read_manifest(masks.folder))
    masks.require_of(tags, run.names(run.protocol.steps[step]), canvas, own_tags)
    if len(masks) < len(images):
        images = run.lists.tagged(step, canvas, masks.index.ids)
    if own_tags:  # a class that people removed is not taught, one that they added is
        rows = [masks.position(image_id) for image_id in images.images.ids]
        images = replace(images, tags=torch.from_numpy(masks.index.tags[rows]))
    return StepData(images, LayerCache(masks, images.images.ids, masks.stage, run.session.room), instances)
