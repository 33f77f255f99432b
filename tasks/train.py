"""Training tasks: base student, memory bank, one incremental step."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import torch

from stores.artefacts import ArtefactRef, Manifest
from stores.banks import load_bank, save_bank
from stores.labels.building import keep_teacher_labels
from stores.labels.cache import LayerCache
from stores.labels.card import has_own_tags
from stores.labels.mend import read_mended
from stores.labels.sets import LabelSet
from stores.manifests import read_manifest
from stores.models.files import ModelNotes
from stores.models.training import STATE, card_of, keep_last_good, publish_student
from stores.models.vectors import open_chain, save_vectors
from stores.plans.run import Run
from stores.progress import stage_progress
from tasks.base import heavy_task, named
from wilss.learn.base import train_base
from wilss.learn.growth import Taught, grow_bank
from wilss.learn.incremental import StepData, StepResult, train_step
from wilss.learn.loop import Watch
from wilss.learn.memory import MemoryBank, build_bank
from wilss.models.files import load_student, save_model
from wilss.nets.segmenter import Segmenter, build_segmenter
from wilss.nets.vectors import Chain


@heavy_task(name="base student", task_run_name=named("base student"))
def base_student(run: Run) -> ArtefactRef:
    """Train the student of step 0 on masks of the base classes, or take a checkpoint for it."""
    return run.session.obtain(run.node("checkpoint", 0), lambda folder: (_adopt if run.start else _train)(run, folder))


def _train(run: Run, folder: Path) -> Manifest:
    start, spec = time.monotonic(), run.spec
    data = run.lists.base(spec.data.canvas, spec.data.void)
    torch.manual_seed(spec.seed)
    model = build_segmenter(spec.student, run.weights, run.protocol.sizes(0)).to(run.device)
    training = run.ingredients.base_training
    with stage_progress("base student") as progress, keep_last_good(run, 0, folder):
        watch = Watch("base", progress, folder / STATE)
        history = train_base(model, data, training, spec.augment, spec.seed, watch)
    save_model(model.state_dict(), card_of(run, 0, history), folder)
    return publish_student(run, 0, folder, len(data), ModelNotes(seconds=time.monotonic() - start))


def _adopt(run: Run, folder: Path) -> Manifest:
    """Take a checkpoint for step 0. Raises SpecError when it knows other classes than the benchmark's base step."""
    assert run.start is not None
    model, card = load_student(run.start, run.class_names(0))
    model.merge_classifiers()  # whatever steps it was taught in, here they are step 0
    kept = {"input": card.input, "start": card.start, "licence": card.licence}
    save_model(model.state_dict(), card_of(run, 0, card.history).model_copy(update=kept), folder)
    return publish_student(run, 0, folder, 0, ModelNotes(start=str(run.start)))


@heavy_task(name="memory bank", task_run_name=named("memory bank"))
def memory_bank(run: Run) -> ArtefactRef:
    """Crop instances of the base classes."""
    node, memory = run.plan["memory bank"], run.spec.memory
    assert memory is not None

    def make(folder: Path) -> Manifest:
        data = run.lists.base(run.spec.data.canvas, run.spec.data.void)
        bank = build_bank(data, memory, run.spec.seed)
        save_bank(bank, folder)
        counts = {run.class_names(0)[channel - 1]: n for channel, n in bank.counts().items()}
        return run.store.publish(node.recipe, folder, counts)

    return run.session.obtain(node, make)


@heavy_task(name="grown memory bank", task_run_name=named("memory bank after step {step}"))
def grown_bank(run: Run, step: int, bank: ArtefactRef, labels: ArtefactRef | None, student: ArtefactRef) -> ArtefactRef:
    """Add instances of the classes of step t >= 1 to a memory bank, cut out by what the step was learnt from.

    Args:
        bank: that the step pasted from. labels, student: what the step learnt from, and what it learnt.

    Raises DataError where the label set's images are not at hand, as may be for a student from elsewhere.
    """
    node, memory, names = run.plan[f"memory bank {step}"], run.spec.memory, run.class_names(step)
    assert memory is not None

    def make(folder: Path) -> Manifest:
        model, _ = load_student(run.store.folder(student), names)
        data, parents = _step_data(run, step, labels, None), (labels.digest if labels else "", student.digest)
        taught = Taught(data.images, data.labels, model.to(run.device), step, parents)
        grown, lacking = grow_bank(load_bank(run.store.folder(bank)), taught, memory)
        for channel, best in lacking.items():
            run.session.say(
                f"{node.title}: no instance of {names[channel - 1]} is one whole component with a score of "
                f"{memory.min_quality} or more (best {best:.2f}), so later steps do not paste it; lower "
                f"{run.spec.entry.reads}.memory.min_quality to have it pasted"
            )
        save_bank(grown, folder)
        counts = {names[channel - 1]: n for channel, n in grown.counts().items()}
        return run.store.publish(node.recipe, folder, counts)

    return run.session.obtain(node, make)


@heavy_task(name="student", task_run_name=named("student of step {step}"))
def step_student(
    run: Run, step: int, previous: ArtefactRef, labels: ArtefactRef | None, bank: ArtefactRef | None
) -> ArtefactRef:
    """Learn the classes of step t >= 1; the teacher's masks are kept as a label set of their own.

    Args:
        previous: student of the step before. labels: None for a method that makes its own masks, else a label set of
            the step, whose rows are found by image id; it may hold a part of the step's images.
        bank: None where nothing is pasted.
    """

    def make(folder: Path) -> Manifest:
        start = time.monotonic()
        old, _ = load_student(run.store.folder(previous), run.class_names(step - 1))
        tuned = run.spec.step.tuning == "svf"
        bases, chain = open_chain(previous.digest, old.backbone, run.store) if tuned else (None, None)
        data = _step_data(run, step, labels, bank)
        with keep_last_good(run, step, folder):
            result = _learn(run, step, old, data, chain, folder)
        keep_teacher_labels(run, step, data.images, result.method)
        save_model(result.student.state_dict(), card_of(run, step, result.history), folder)
        if bases:
            save_vectors(replace(bases, vectors=dict(result.vectors)), folder)
        notes = ModelNotes(seconds=time.monotonic() - start)
        return publish_student(run, step, folder, len(data.images), notes)

    return run.session.obtain(run.node("checkpoint", step), make)


def _step_data(run: Run, step: int, labels: ArtefactRef | None, bank: ArtefactRef | None) -> StepData:
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


def _learn(run: Run, step: int, old: Segmenter, data: StepData, chain: Chain | None, folder: Path) -> StepResult:
    spec = run.spec
    with stage_progress(f"step {step}: {spec.method}") as progress:
        watch = Watch(f"step {step}", progress, folder / STATE)
        own = run.ingredients.settings
        how = (spec.method, own, spec.step, spec.augment, spec.seed)
        return train_step(old.to(run.device), data, *how, watch, chain)
