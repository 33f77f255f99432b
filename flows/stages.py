"""The stages of a run: what is missing is built, and references are handed on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from flows.runners import Shown, parts_of, side_by_side
from flows.scoring import evaluated
from stores.artefacts import ArtefactRef
from stores.labels.mend import is_damaged
from stores.labels.review.carry import carry_hint
from stores.plans.fewshot_run import FewShotRun
from stores.plans.run import Run
from stores.plans.session import StageNote
from stores.progress import say
from stores.runs import fewshot_folder, run_folder
from stores.stage_log import note_stage
from tasks.labels import begin_labels, label_set, label_shard, mended_labels
from tasks.train import base_student, grown_bank, memory_bank, step_student

Seconds = dict[str, float]


@contextmanager
def timed(seconds: Seconds, stage: str) -> Iterator[None]:
    """Add the time of a stage to ``seconds``."""
    start = time.monotonic()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + time.monotonic() - start
    say(f"{stage}: {seconds[stage]:.1f} s")


def stage(
    run: Run | FewShotRun, seconds: Seconds, name: str, make: Callable[[], ArtefactRef], noted: bool = True
) -> ArtefactRef:
    """A node that stands, or the task that makes it, whose time is added and, where ``noted``, kept by the run."""
    node = run.plan[name]
    if found := run.session.found(node):
        return found
    start, digest, stages = time.monotonic(), node.recipe.digest, run.session.stages
    stages.pop(digest, None)  # it was damaged, and is made once more
    with timed(seconds, node.title):
        made = make()
    if digest not in stages:  # otherwise another process made it meanwhile
        took = time.monotonic() - start
        stages[digest] = StageNote(node.title, f"made in {took:.1f} s", took)
        if noted:
            note_stage(run.store, _folder(run), node, made, took)
    return made


def _folder(run: Run | FewShotRun) -> Path:
    return run_folder(run.settings, run.spec) if isinstance(run, Run) else fewshot_folder(run.settings, run.spec)


@dataclass
class Built:
    """References to what a run has so far.

    students, evaluations: of every step from the run's first one on. labels: that steps learnt from.
    """

    students: list[ArtefactRef] = field(default_factory=list)
    evaluations: list[ArtefactRef] = field(default_factory=list)
    labels: list[ArtefactRef] = field(default_factory=list)
    bank: ArtefactRef | None = None
    seconds: Seconds = field(default_factory=dict)


def base_stages(run: Run, built: Built) -> None:
    """Step 0, or the student that is given for a later one: student, memory bank, evaluation."""
    built.students.append(stage(run, built.seconds, f"checkpoint {run.first_step}", lambda: base_student(run)))
    if "memory bank" in run.plan:
        built.bank = stage(run, built.seconds, "memory bank", lambda: memory_bank(run))
    elif run.spec.memory is not None:
        say("no base images with masks, so there is no memory bank: nothing is pasted")
    _evaluate(run, run.first_step, built)


def step_stages(run: Run, step: int, built: Built) -> None:
    """Step t >= 1: label set, teacher and student, evaluation."""
    previous, bank = built.students[-1], bank_stage(run, step, built)
    built.bank = bank
    labels = label_stage(run, step, built) if run.spec.uses_labels else None
    make = partial(step_student, run, step, previous, labels, bank)
    built.students.append(stage(run, built.seconds, f"checkpoint {step}", make))
    built.labels += [labels] if labels else []
    _evaluate(run, step, built)


def bank_stage(run: Run, step: int, built: Built) -> ArtefactRef | None:
    """The memory bank that a step pastes from; one that grows has instances of all classes before it."""
    name = f"memory bank {step - 1}"
    if name not in run.plan:
        return built.bank

    def make() -> ArtefactRef:
        bank_stage(run, step - 1, built)  # which is one of the parents, where the run makes it
        there = [*built.students, *built.labels, *([built.bank] if built.bank else [])]
        known = {ref.digest: ref for ref in there}  # as tasks returned them, so that Prefect sees where they come from
        made_from = {
            role: known.get(parent.digest, ArtefactRef(kind=parent.kind, digest=parent.digest))
            for role, parent in run.plan[name].recipe.parents.items()
        }
        return grown_bank(run, step - 1, made_from["bank"], made_from.get("labels"), made_from["student"])

    return stage(run, built.seconds, name, make)


def earlier_stages(run: Run, step: int, built: Built | None = None) -> Built:
    """References to everything that a step starts from. Raises ArtefactNotFoundError when something is missing.

    Args:
        built: what a given student brought, which comes before.
    """
    built = built or Built()
    refs = {node.name: run.require(node) for node in run.before(step)}
    built.students += [ref for name, ref in refs.items() if name.startswith("checkpoint ")]
    built.evaluations += [ref for name, ref in refs.items() if name.startswith("evaluation ")]
    built.bank = refs.get("memory bank", built.bank)
    return built


def _evaluate(run: Run, step: int, built: Built) -> None:
    student = built.students[-1]
    make = partial(evaluated, run, step, student)
    built.evaluations.append(stage(run, built.seconds, f"evaluation {step}", make))


def label_stage(run: Run, step: int, built: Built) -> ArtefactRef:
    """The step's label set, or the one that was given in its place."""
    name = f"labels {step}"
    if name not in run.plan:
        return run.ingredients.given[step]
    return stage(run, built.seconds, name, lambda: _label(run, step))


def _label(run: Run, step: int) -> ArtefactRef:
    """The step's label set, its shards written side by side."""
    node = run.plan[f"labels {step}"]
    with run.session.alone(node.recipe):
        if found := run.session.found(node):  # made by another process meanwhile
            return found
        if is_damaged(run, step):
            return mended_labels(run, step)
        start, begun = time.monotonic(), begin_labels(run, step)
        with side_by_side(run, run.store.staging("labels", begun.digest)) as workers:
            images = parts_of(begun.counts["images"], begun.counts["shard_images"])
            order = run.store.folders.order(begun.counts["shards"])
            shown = Shown(f"labels of step {step}", "label", [images[shard] for shard in order])
            shards = workers.map(label_shard, {"step": step, "begun": begun}, {"shard": order}, shown)
            made = label_set(run, step, shards, time.monotonic() - start)
        if hint := carry_hint(run.store.root, made.digest):
            say(hint)
        return made
