"""The plan of an incremental run: what determines each of its artefacts. The same facts give the same digest.

A folder of one's own is known step by step, so that rows for a new step leave the earlier ones alone; other data are
known as a whole. Where the data of a step are not those that the base student is known by, the step names its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stores.artefacts import ArtefactRef, Recipe
from stores.models.start import MARK
from stores.plans.plan import Node, Plan
from wilss.data.families import family_of
from wilss.data.steps import StepLists
from wilss.digest import ALGORITHM_VERSION, code_version, file_digest
from wilss.foundation.refine import PAMR_VERSION
from wilss.learn.base import joint_epochs
from wilss.learn.spec import MethodSettings, TrainSpec
from wilss.models.card import model_files
from wilss.protocol import Benchmark
from wilss.spec import RunSpec

Parent = Recipe | ArtefactRef


@dataclass(frozen=True)
class Ingredients:
    """What the recipes of a run are made of.

    benchmark: as it was asked for; ``lists`` has the steps that are trained. weights: digest of the backbone's.
    start: checkpoint folder that is taken for step 0. prompts: class name -> words. models: digests of scorer and
    grouper, asked by a run that labels. given: step -> label set that is learnt from in place of the co-segmented one.
    """

    spec: RunSpec
    benchmark: Benchmark
    lists: StepLists
    weights: str
    start: Path | None
    prompts: Mapping[str, tuple[str, ...]]
    models: Callable[[], tuple[str, str]]
    given: Mapping[int, ArtefactRef]

    def names(self, classes: tuple[int, ...]) -> tuple[str, ...]:
        """Class names by id."""
        return tuple(self.lists.source.classes[c - 1] for c in classes)

    @property
    def has_bank(self) -> bool:
        """Whether old-class instances are pasted: the method wants it, and there are base images to cut them from.

        A run that starts from a checkpoint may have none.
        """
        return self.spec.memory is not None and (not self.start or bool(self.lists.positions(0)))

    @property
    def settings(self) -> MethodSettings:
        """The method's settings; without a memory bank nothing is pasted."""
        settings = self.spec.method_settings
        lacks_bank = settings.bank is not None and not self.has_bank
        return settings.without_bank() if lacks_bank else settings

    @property
    def base_training(self) -> TrainSpec:
        """How step 0 is trained; a method of one merged step sees as many images as all steps together would."""
        spec = self.spec
        if not spec.merged:
            return spec.base
        apart, steps = self.lists.of(self.benchmark), range(len(self.benchmark.steps))
        images = [len(apart.listed(step)) for step in steps]
        epochs = [spec.step.epochs if step else spec.base.epochs for step in steps]
        return spec.base.model_copy(update={"epochs": joint_epochs(images, epochs, len(self.lists.positions(0)))})


def plan_incremental(of: Ingredients) -> Plan:
    """Every node of a run, parents first."""
    return Plan(_nodes(of))


def _nodes(of: Ingredients) -> Iterator[Node]:
    student = _base(of)
    yield Node("checkpoint 0", student, "base", "base student")
    bank = _bank(of) if of.has_bank else None
    if bank:
        yield Node("memory bank", bank, "bank", "memory bank")
    yield Node("evaluation 0", _evaluation(of, 0, student), "evaluation", "evaluation of step 0", 0)
    for step in range(1, len(of.lists.protocol.steps)):
        labels: Parent | None = of.given.get(step) if of.spec.uses_labels else None
        if of.spec.uses_labels and labels is None:
            labels = _labels(of, step)
            yield Node(f"labels {step}", labels, "labels", f"labels of step {step}", step)
        student = _step(of, step, student, labels, bank)
        yield Node(f"checkpoint {step}", student, "step", f"student of step {step}", step)
        # kept while the student is trained, by a method that has a teacher
        yield Node(f"final labels {step}", _teacher(student), "step", f"teacher's masks of step {step}", step, True)
        evaluation = _evaluation(of, step, student)
        yield Node(f"evaluation {step}", evaluation, "evaluation", f"evaluation of step {step}", step)


def _base_facts(of: Ingredients) -> dict[str, Any]:
    spec = of.spec
    return {
        "version": ALGORITHM_VERSION,
        "data": of.lists.fingerprint(0),
        "classes": list(of.lists.protocol.steps[0]),
        "scenario": spec.scenario,
        "canvas": spec.data.canvas,
        "void": spec.data.void,
        "seed": spec.seed,
        **_own_data(of),
    }


def _own_data(of: Ingredients) -> dict[str, int | str]:
    """The user's file that opens the data, where one does."""
    return code_version(1, family_of(of.lists.protocol.family).source)


def _base(of: Ingredients) -> Recipe:
    """The student of step 0, trained or taken from a checkpoint."""
    spec = of.spec
    if of.start:
        files = {path.name: file_digest(path) for path in model_files(of.start)}
        names = list(of.names(of.lists.protocol.seen(0)))
        return Recipe("checkpoints", {"start": files, "names": names, **_base_facts(of)})
    student = spec.student.plain()
    if student["weights"].startswith(MARK):  # may be abbreviated; the bytes are known as "weights"
        student["weights"] = MARK
    facts = {
        **_base_facts(of),
        "stage": "base",
        "student": student,
        "weights": of.weights,
        "augment": spec.augment.plain(),
        "train": of.base_training.plain(),
    }
    if spec.merged and (code := code_version(spec.entry.version, spec.entry.source)):
        facts["method"] = code  # which is nothing but this training
    return Recipe("checkpoints", facts)


def _bank(of: Ingredients) -> Recipe:
    """The memory bank of the base classes."""
    assert of.spec.memory is not None
    return Recipe("banks", {**_base_facts(of), "memory": of.spec.memory.plain()})


def _labels(of: Ingredients, step: int) -> Recipe:
    """The co-segmented label set of a step; scenarios that give the step the same images share it."""
    spec, protocol = of.spec, of.lists.protocol
    scorer, grouper = of.models()
    facts: dict[str, Any] = {
        "version": ALGORITHM_VERSION,
        "data": of.lists.fingerprint(step),
        "classes": list(protocol.steps[step]),
        "old": list(protocol.seen(step - 1)) if spec.foundation.old_names else [],
        "canvas": spec.data.canvas,
        "scorer": scorer,
        "grouper": grouper,
        "cosegment": spec.foundation.cosegment.plain(),
        "seed": spec.seed,
        **_own_data(of),
    }
    if facts["old"] and not family_of(protocol.family).classes:  # ids of a folder's classes do not tell their names
        facts["old_names"] = list(of.names(protocol.seen(step - 1)))
    if spec.foundation.cosegment.refine == "pamr":
        facts["pamr"] = PAMR_VERSION
    words = {name: of.prompts[name] for name in of.names(protocol.seen(step)) if of.prompts[name] != (name,)}
    return Recipe("labels", {**facts, "prompts": words} if words else facts)


def _step(of: Ingredients, step: int, previous: Recipe, labels: Parent | None, bank: Recipe | None) -> Recipe:
    """The student of step t >= 1, and through its parents everything before it."""
    spec = of.spec
    facts: dict[str, Any] = {
        "version": ALGORITHM_VERSION,
        "stage": "step",
        "method": spec.method,
        **code_version(spec.entry.version, spec.entry.source),
        "classes": list(of.lists.protocol.steps[step]),
        "augment": spec.augment.plain(),
        "train": spec.step.plain(),
        "seed": spec.seed,
    }
    if (data := of.lists.fingerprint(step)) != of.lists.source.fingerprint:
        facts["data"] = data  # otherwise known through the base student
    if spec.step.tuning == "svf":
        facts["svf"] = "one set of bases for all steps"
    if spec.entry.settings is not None:
        facts["settings"] = of.settings.plain({"memory"})  # which is known through the bank
    made_from: dict[str, Parent | None] = {"previous": previous, "labels": labels, "bank": bank}
    return Recipe("checkpoints", facts, {role: parent for role, parent in made_from.items() if parent is not None})


def _teacher(student: Recipe) -> Recipe:
    """The plug-in's masks after training: a correction of the label set where the method learns from one."""
    parents: dict[str, Parent] = {"teacher": student}
    if "labels" in student.parents:
        parents["parent"] = student.parents["labels"]
    return Recipe("labels", {"version": ALGORITHM_VERSION, "stage": "final"}, parents)


def _evaluation(of: Ingredients, step: int, student: Recipe) -> Recipe:
    """The confusion matrix of a student."""
    facts = {
        "version": ALGORITHM_VERSION,
        "data": of.lists.evaluation_fingerprint(step),
        "seen": list(of.lists.protocol.seen(step)),
        "crop": of.spec.data.eval_crop,
    }
    return Recipe("evaluations", facts, {"checkpoint": student})
