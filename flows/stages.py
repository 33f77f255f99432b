"""The stages of a run: what is missing is built, and references are handed on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from prefect import unmapped
from prefect.task_runners import ThreadPoolTaskRunner

from stores.artefacts import ArtefactRef
from stores.plans.run import Run
from stores.progress import say
from tasks.evaluate import evaluation
from tasks.labels import begin_labels, label_set, label_shard
from tasks.train import base_student, memory_bank, step_student

Seconds = dict[str, float]


@contextmanager
def timed(seconds: Seconds, stage: str) -> Iterator[None]:
    """Add the time of a stage to ``seconds``."""
    start = time.monotonic()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + time.monotonic() - start
    say(f"{stage}: {seconds[stage]:.1f} s")


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
    with timed(built.seconds, "base student"):
        built.students.append(_found(run, "checkpoint 0") or base_student(run))
    if "memory bank" in run.plan:
        with timed(built.seconds, "memory bank"):
            built.bank = _found(run, "memory bank") or memory_bank(run)
    elif run.spec.memory is not None:
        say("no base images with masks, so there is no memory bank: nothing is pasted")
    _evaluate(run, 0, built)


def step_stages(run: Run, step: int, built: Built) -> None:
    """Step t >= 1: label set, teacher and student, evaluation."""
    labels = None
    if run.spec.uses_labels:
        with timed(built.seconds, f"labels of step {step}"):
            labels = _labels(run, step)
        built.labels.append(labels)
    with timed(built.seconds, f"learn step {step}"):
        student = _found(run, f"checkpoint {step}")
        built.students.append(student or step_student(run, step, built.students[-1], labels, built.bank))
    _evaluate(run, step, built)


def earlier_stages(run: Run, step: int, seconds: Seconds) -> Built:
    """References to everything that step t >= 1 starts from. Raises ArtefactNotFoundError when something is missing."""
    built = Built(seconds=seconds)
    for earlier in range(step):
        built.students.append(run.require(run.node("checkpoint", earlier)))
        built.evaluations.append(run.require(run.node("evaluation", earlier)))
    if "memory bank" in run.plan:
        built.bank = run.require(run.plan["memory bank"])
    return built


def _evaluate(run: Run, step: int, built: Built) -> None:
    with timed(built.seconds, f"evaluate step {step}"):
        found = _found(run, f"evaluation {step}")
        built.evaluations.append(found or evaluation(run, step, built.students[-1]))


def _found(run: Run, name: str) -> ArtefactRef | None:
    return run.session.found(run.plan[name])


def _labels(run: Run, step: int) -> ArtefactRef:
    """The step's label set, its shards written side by side; or the one that was given in its place."""
    name = f"labels {step}"
    if name not in run.plan:
        return run.given_labels(step)
    if found := _found(run, name):
        return found
    begun = begin_labels(run, step)
    with ThreadPoolTaskRunner(max_workers=run.settings.workers) as runner:
        which = {"run": unmapped(run), "step": unmapped(step), "begun": unmapped(begun)}
        shards = runner.map(label_shard, {**which, "shard": list(range(begun.counts["shards"]))})
        return label_set(run, step, [shard.result() for shard in shards])
