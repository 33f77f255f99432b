"""Training tasks: base student, memory bank, one incremental step."""

from __future__ import annotations

import time
from pathlib import Path

from stores.artefacts import ArtefactRef, Manifest
from stores.banks import load_bank, save_bank
from stores.models.files import ModelNotes
from stores.models.learn_student import step_data
from stores.models.lessons import Lesson, learn
from stores.models.training import card_of, keep_last_good, publish_student
from stores.plans.run import Run
from stores.progress import stage_progress
from tasks.base import heavy_task, named
from wilss.learn.growth import Taught, grow_bank
from wilss.learn.memory import build_bank
from wilss.models.files import load_student, save_model


@heavy_task(name="base student", task_run_name=named("base student"))
def base_student(run: Run) -> ArtefactRef:
    """Train the student of step 0 on masks of the base classes, or take a checkpoint for it."""
    return run.session.obtain(run.node("checkpoint", 0), lambda folder: (_adopt if run.start else _train)(run, folder))


def _train(run: Run, folder: Path) -> Manifest:
    start = time.monotonic()
    with stage_progress("base student") as progress, keep_last_good(run, 0, folder):
        images = learn(run, Lesson(kind="base", node="checkpoint 0", folder=folder), progress)
    return publish_student(run, 0, folder, images, ModelNotes(seconds=time.monotonic() - start))


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
        data, parents = step_data(run, step, labels, None), (labels.digest if labels else "", student.digest)
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
        start, node = time.monotonic(), run.node("checkpoint", step).name
        refs = {"previous": previous, "labels": labels, "bank": bank}
        lesson = Lesson(kind="step", node=node, folder=folder, step=step, refs=refs)
        with stage_progress(f"step {step}: {run.spec.method}") as progress, keep_last_good(run, step, folder):
            images = learn(run, lesson, progress)
        return publish_student(run, step, folder, images, ModelNotes(seconds=time.monotonic() - start))

    return run.session.obtain(run.node("checkpoint", step), make)
