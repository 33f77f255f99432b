"""What a training task does: learn, and leave the model in a folder; here, or on each of several devices.

There every process opens the run anew from its specification and the facts of the machine, takes its part of every
batch, and the first one writes. Whoever asks holds the folder's lock, shows how it goes, and commits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from stores.artefacts import ArtefactRef
from stores.models import learn_fewshot, learn_student
from stores.plans.closed import ClosedRun
from stores.plans.fewshot_run import FewShotRun
from stores.plans.run import Run
from wilss.errors import TrainingError
from wilss.parallel.launch import on_each
from wilss.parallel.process import Telling
from wilss.parallel.ranks import here
from wilss.progress import Progress

LEARN: Mapping[str, Callable[..., int]] = {
    "base": learn_student.learn_base,
    "step": learn_student.learn_step,
    "silhouettes": learn_fewshot.learn_shapes,
    "stage 1": learn_fewshot.learn_stage1,
    "head": learn_fewshot.learn_head,
}
"""Each takes the run, the folder, how it is told how it goes, and its own; returns how many images it learnt from."""


class Lesson(BaseModel):
    """A training in words. node: its name in the plan. folder: where the model goes. own: arguments of its function."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["base", "step", "silhouettes", "stage 1", "head"]
    node: str
    folder: Path
    step: int | None = None
    refs: dict[str, ArtefactRef | None] = {}

    @property
    def own(self) -> dict[str, Any]:
        """What its function takes beside run, folder and progress."""
        return self.refs if self.step is None else {"step": self.step, **self.refs}


class _Sent(BaseModel):
    """What a process is given. digest: of the node, which it must come to by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: ClosedRun
    lesson: Lesson
    digest: str


def learn(run: Run | FewShotRun, lesson: Lesson, progress: Progress) -> int:
    """Train as the run's settings say, on one device or several; returns how many images it learnt from.

    Raises TrainingError where a process of several ends early.
    """
    devices = run.session.devices
    if len(devices) == 1:
        return LEARN[lesson.kind](run, lesson.folder, progress, **lesson.own)

    def hear(kind: str, content: list[Any]) -> None:
        (progress if kind == "moved" else run.session.say)(*content)

    sent = _Sent(
        run=ClosedRun.of(run, lesson.folder),
        lesson=lesson.model_copy(update={"folder": lesson.folder.resolve()}),
        digest=run.plan[lesson.node].recipe.digest,
    )
    run.session.say(f"{run.plan[lesson.node].title}: {len(devices)} processes on {', '.join(dict.fromkeys(devices))}")
    return int(on_each("stores.models.lessons:learn_as_rank", sent.model_dump(mode="json"), list(devices), hear))


def learn_as_rank(arguments: dict[str, Any], telling: Telling) -> int:
    """The part of one process; see `wilss.parallel.process`."""
    sent = _Sent.model_validate(arguments)
    # what opening says was said by whoever asked
    run = sent.run.open(f"process {here().rank + 1}", telling.device, lambda text: None)
    if here().rank == 0 and run.plan[sent.lesson.node].recipe.digest != sent.digest:
        raise TrainingError("data, weights or registrations changed while the training began; start it again")
    run.session.say = telling.say
    return LEARN[sent.lesson.kind](run, sent.lesson.folder, telling.progress, **sent.lesson.own)
