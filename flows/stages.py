"""The stages of one step, shared by the benchmark flow and the step flow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from stores.progress import say
from tasks.evaluate import evaluation
from tasks.label import label_shard, plan_labels, publish_labels
from tasks.prepare import prepare_data
from tasks.train import base_student, memory_bank, step_student
from wilss.spec import RunSpec, Settings

Seconds = dict[str, float]


@contextmanager
def timed(seconds: Seconds, stage: str) -> Iterator[None]:
    """Add the time of a stage to ``seconds``."""
    start = time.monotonic()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + time.monotonic() - start
    say(f"{stage}: {seconds[stage]:.1f} s")


def prepare(spec: RunSpec, settings: Settings, seconds: Seconds) -> None:
    """Open and check the data before anything is trained."""
    with timed(seconds, "data"):
        prepare_data(spec, settings)


def base_stages(spec: RunSpec, settings: Settings, seconds: Seconds) -> None:
    """Step 0: student, memory bank, evaluation."""
    with timed(seconds, "base student"):
        base_student(spec, settings)
    if spec.pastes:
        with timed(seconds, "memory bank"):
            memory_bank(spec, settings)
    with timed(seconds, "evaluate step 0"):
        evaluation(spec, settings, 0)


def step_stages(spec: RunSpec, settings: Settings, step: int, seconds: Seconds) -> None:
    """Step t >= 1: label set, teacher and student, evaluation."""
    if spec.uses_labels:
        with timed(seconds, f"labels of step {step}"):
            for shard in plan_labels(spec, settings, step):
                label_shard(spec, settings, step, shard)
            publish_labels(spec, settings, step)
    with timed(seconds, f"learn step {step}"):
        step_student(spec, settings, step)
    with timed(seconds, f"evaluate step {step}"):
        evaluation(spec, settings, step)
