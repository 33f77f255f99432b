"""The stages of a run: what is missing is built, and references are handed on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from prefect import unmapped
from prefect.task_runners import ThreadPoolTaskRunner

from stores.artefacts import ArtefactRef
from stores.labels.mend import is_damaged
from stores.plans.fewshot_run import FewShotRun
from stores.plans.run import Run
from stores.progress import say
from tasks.evaluate import evaluation
from tasks.labels import begin_labels, label_set, label_shard, mended_labels
from tasks.train import base_student, memory_bank, step_student

Seconds = dict[str, float]


@contextmanager
def timed(seconds: Seconds, stage: str) -> Iterator[None]:
    """Add the time of a stage to ``seconds``."""
    start = time.monotonic()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + time.monotonic() - start
    say(f"{stage}: {seconds[stage]:.1f} s")


def stage(run: Run | FewShotRun, seconds: Seconds, name: str, make: Callable[[], ArtefactRef]) -> ArtefactRef:
    """A node that stands, or the task that makes it, whose time is added."""
    if found := run.session.found(run.plan[name]):
        return found
    with timed(seconds, run.plan[name].title):
        return make()


@dataclass
class Built:
    """References to what a run has so far.

    students, evaluations: of every step from 0 on. labels: that steps learnt from.
    """

    students: list[ArtefactRef] = field(default_factory=list)
    evaluations: list[ArtefactRef] = field(default_factory=list)
    labels: list[ArtefactRef] = field(default_factory=list)
    bank: ArtefactRef | None = None
    seconds: Seconds = field(default_factory=dict)


def base_stages(run: Run, built: Built) -> None:
    """Step 0: student, memory bank, evaluation."""
    built.students.append(stage(run, built.seconds, "checkpoint 0", lambda: base_student(run)))
    if "memory bank" in run.plan:
        built.bank = stage(run, built.seconds, "memory bank", lambda: memory_bank(run))
    elif run.spec.memory is not None:
        say("no base images with masks, so there is no memory bank: nothing is pasted")
    _evaluate(run, 0, built)


def step_stages(run: Run, step: int, built: Built) -> None:
    """Step t >= 1: label set, teacher and student, evaluation."""
    labels = _labels(run, step, built) if run.spec.uses_labels else None
    previous, bank = built.students[-1], built.bank
    make = partial(step_student, run, step, previous, labels, bank)
    built.students.append(stage(run, built.seconds, f"checkpoint {step}", make))
    built.labels += [labels] if labels else []
    _evaluate(run, step, built)


def earlier_stages(run: Run, step: int) -> Built:
    """References to everything that a step starts from. Raises ArtefactNotFoundError when something is missing."""
    refs = {node.name: run.require(node) for node in run.before(step)}
    return Built(
        students=[refs[f"checkpoint {earlier}"] for earlier in range(step)],
        evaluations=[refs[f"evaluation {earlier}"] for earlier in range(step)],
        bank=refs.get("memory bank"),
    )


def _evaluate(run: Run, step: int, built: Built) -> None:
    student = built.students[-1]
    make = partial(evaluation, run, step, student)
    built.evaluations.append(stage(run, built.seconds, f"evaluation {step}", make))


def _labels(run: Run, step: int, built: Built) -> ArtefactRef:
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
        with ThreadPoolTaskRunner(max_workers=run.settings.workers) as runner:
            same = {"run": unmapped(run), "step": unmapped(step), "begun": unmapped(begun)}
            shards = runner.map(label_shard, {**same, "shard": list(range(begun.counts["shards"]))})
            shards.result()  # raises what went wrong in one
            return label_set(run, step, shards, time.monotonic() - start)
