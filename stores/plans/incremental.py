"""The plan of an incremental run: what determines each of its artefacts. The same facts give the same digest.

A folder of one's own is known step by step, so that rows for a new step leave the earlier ones alone; other data are
known as a whole. Where the data of a step are not those that the base student is known by, the step names its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stores.artefacts import ArtefactRef, Recipe
from stores.models.start import MARK
from stores.plans.given import GivenStudent
from stores.plans.plan import Node, Plan
from wilss.data.families import family_of
from wilss.data.source import Distant
from wilss.data.steps import StepLists
from wilss.digest import ALGORITHM_VERSION, code_version, digest_of, file_digest
from wilss.foundation.refine import PAMR_VERSION
from wilss.learn.base import joint_epochs
from wilss.learn.schedule import passes_of
from wilss.learn.spec import BaseTrainSpec, MethodSettings
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
    student: that stands for a step and those before it.
    """

    spec: RunSpec
    benchmark: Benchmark
    lists: StepLists
    weights: str
    start: Path | None
    prompts: Mapping[str, tuple[str, ...]]
    models: Callable[[], tuple[str, str]]
    given: Mapping[int, ArtefactRef]
    student: GivenStudent | None = None

    def names(self, classes: tuple[int, ...]) -> tuple[str, ...]:
        """Class names by id."""
        return tuple(self.lists.source.classes[c - 1] for c in classes)

    @property
    def has_bank(self) -> bool:
        """Whether old-class instances are pasted: the method wants it, and there are base images to cut them from.

        A run that starts from a checkpoint or a student may have none.
        """
        may_lack = self.start is not None or self.student is not None
        return self.spec.memory is not None and (not may_lack or bool(self.lists.positions(0)))

    @property
    def grows(self) -> bool:
        """Whether the memory bank gets instances of the classes of later steps."""
        return self.spec.memory is not None and self.spec.memory.grows

    @property
    def settings(self) -> MethodSettings:
        """The method's settings; without a memory bank nothing is pasted."""
        settings = self.spec.method_settings
        lacks_bank = settings.bank is not None and not self.has_bank
        return settings.without_bank() if lacks_bank else settings

    @property
    def base_training(self) -> BaseTrainSpec:
        """How step 0 is trained; a method of one merged step sees as many images as all steps together would."""
        spec = self.spec
        if not spec.merged:
            return spec.base
        apart, steps = self.lists.of(self.benchmark), range(len(self.benchmark.steps))
        images = [len(apart.listed(step)) for step in steps]
        trainings = [spec.step if step else spec.base for step in steps]
        epochs = [one.epochs * passes_of(n, one) for n, one in zip(images, trainings, strict=True)]
        n_train = len(self.lists.positions(0))
        changes = {"epochs": joint_epochs(images, epochs, n_train), "min_iterations": 0, "held_out": 0.0, "patience": 0}
        return spec.base.model_copy(update=changes)


def plan_incremental(of: Ingredients) -> Plan:
    """Every node of a run, parents first."""
    return Plan(_nodes(of))


def _nodes(of: Ingredients) -> Iterator[Node]:
    first, last = of.student.step if of.student else 0, len(of.lists.protocol.steps) - 1
    student, elsewhere, banks = _given(of, of.student) if of.student else (_base(of), False, [])
    if of.student:
        yield Node(f"checkpoint {first}", student, "step", f"student of step {first}, given", first, given=True)
    else:
        yield Node("checkpoint 0", student, "base", "base student")
    bank = _bank(of) if of.has_bank and not (of.student and first == last) else None
    if bank:
        yield Node("memory bank", bank, "bank", "memory bank")
    for node in banks if bank else []:
        yield node
        bank = node.recipe
    title = f"evaluation of step {first}"
    yield Node(f"evaluation {first}", _evaluation(of, first, student), "evaluation", title, first)
    before: Parent | None = None
    for step in range(first + 1, last + 1):
        labels: Parent | None = of.given.get(step) if of.spec.uses_labels else None
        if of.spec.uses_labels and labels is None:
            labels = _labels(of, step)
            yield Node(f"labels {step}", labels, "labels", f"labels of step {step}", step)
        if bank and step > first + 1 and of.grows:
            bank = _grown(of, step - 1, bank, before, student)
            yield _bank_node(step - 1, bank)
        student = _step(of, step, student, labels, bank, elsewhere)
        before = labels
        yield Node(f"checkpoint {step}", student, "step", f"student of step {step}", step)
        # kept while the student is trained, by a method that has a teacher
        yield Node(f"final labels {step}", _teacher(student), "step", f"teacher's masks of step {step}", step, True)
        evaluation = _evaluation(of, step, student)
        yield Node(f"evaluation {step}", evaluation, "evaluation", f"evaluation of step {step}", step)


def _given(of: Ingredients, student: GivenStudent) -> tuple[Recipe, bool, list[Node]]:
    """The recipe of a student that is given, whether it tells nothing of this run's data, and grown memory banks.

    One that was made otherwise tells nothing of them; its bank is that which it pasted from, and what it learnt.
    """
    if student.step < len(of.lists.protocol.steps) - 1:
        plan = plan_incremental(replace(of, student=None))
        own = plan[f"checkpoint {student.step}"].recipe
        if own.digest == student.manifest.digest:
            banks = [node for at in range(1, student.step + 1) if (node := plan.get(f"memory bank {at}"))]
            return own, False, [replace(node, optional=node is not banks[-1]) for node in banks]
    return student.recipe, True, _bank_of(of, student) if of.grows else []


def _bank_of(of: Ingredients, student: GivenStudent) -> list[Node]:
    """The memory bank that a student from elsewhere leaves; none where it pasted nothing."""
    parents = student.recipe.parents
    if "bank" not in parents:
        return []
    recipe = _grown(of, student.step, parents["bank"], parents.get("labels"), student.recipe)
    return [_bank_node(student.step, recipe)]


def _bank_node(step: int, recipe: Recipe) -> Node:
    return Node(f"memory bank {step}", recipe, "bank", f"memory bank after step {step}", step + 1)


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


def _order(of: Ingredients, step: int) -> dict[str, Any]:
    """In which order images are learnt from, where it is not any: it follows which of them lie in one shard."""
    source, buffer = of.lists.source, of.spec.data.shuffle_buffer
    if not buffer:
        return {}
    shards = source.shards(of.lists.ids(step)) if isinstance(source, Distant) else ()
    return {"shuffle_buffer": buffer, **({"shards": digest_of(shards)} if shards else {})}


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
        **_order(of, 0),
    }
    if spec.merged and (code := code_version(spec.entry.version, spec.entry.source)):
        facts["method"] = code  # which is nothing but this training
    return Recipe("checkpoints", facts)


def _bank(of: Ingredients) -> Recipe:
    """The memory bank of the base classes."""
    assert of.spec.memory is not None
    return Recipe("banks", {**_base_facts(of), "memory": of.spec.memory.of_masks()})


def _grown(of: Ingredients, step: int, bank: Parent, labels: Parent | None, student: Recipe) -> Recipe:
    """The memory bank with instances of a step's classes; its parents tell everything of the data."""
    assert of.spec.memory is not None
    facts = {"version": ALGORITHM_VERSION, "stage": "grown", "step": step, "memory": of.spec.memory.plain()}
    made_from: dict[str, Parent | None] = {"bank": bank, "labels": labels, "student": student}
    return Recipe("banks", facts, {role: parent for role, parent in made_from.items() if parent is not None})


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


def _step(
    of: Ingredients, step: int, previous: Recipe, labels: Parent | None, bank: Recipe | None, elsewhere: bool
) -> Recipe:
    """The student of step t >= 1, and through its parents everything before it.

    Args:
        elsewhere: what it is built upon tells nothing of this run's data.
    """
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
        **_order(of, step),
    }
    if elsewhere or of.lists.fingerprint(step) != of.lists.source.fingerprint:
        facts["data"] = of.lists.fingerprint(step)  # otherwise known through the base student
    if elsewhere:
        facts |= {"scenario": spec.scenario, "canvas": spec.data.canvas, **_own_data(of)}
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
