"""Recipes: what determines each artefact of a run. The same facts give the same digest, so work is shared."""

from __future__ import annotations

from typing import Any

from stores.artefacts import Recipe
from tasks.fewshot_start import MARK
from tasks.workspace import Workspace
from wilss.data.steps import base_positions
from wilss.digest import ALGORITHM_VERSION, code_version, digest_of, file_digest
from wilss.foundation.refine import PAMR_VERSION
from wilss.foundation.zoo import build_grouper, build_scorer
from wilss.learn.base import joint_epochs
from wilss.learn.methods import METHODS
from wilss.learn.methods.spec import FmwissSpec
from wilss.learn.spec import TrainSpec
from wilss.protocol import step_images
from wilss.section import Section


def _base_facts(ws: Workspace) -> dict[str, Any]:
    spec = ws.spec
    return {
        "version": ALGORITHM_VERSION,
        "data": _base_data(ws),
        "classes": list(ws.protocol.steps[0]),
        "scenario": spec.scenario,
        "canvas": spec.data.canvas,
        "void": spec.data.void,
        "seed": spec.seed,
    }


def _base_data(ws: Workspace) -> str:
    """Digest of the images of step 0 and their labels; the scenario, which chooses among them, is told beside it."""
    ids = ws.source.ids("train")
    images = [ids[p] for p in base_positions(ws.source, ws.protocol, ws.spec.scenario)]
    return ws.source.fingerprint_of(images, ws.protocol.steps[0])


def _step_data(ws: Workspace, step: int) -> str:
    """Digest of the images of step t >= 1 and of its own classes' labels.

    Built-in data are known as a whole: where the scenario leaves images of the step out, those that stay are told.
    """
    tags, ids = ws.source.tags("train"), ws.source.ids("train")
    positions = step_images(tags, ws.protocol, step, ws.spec.scenario)
    images = [ids[p] for p in positions]
    data = ws.source.fingerprint_of(images, ws.protocol.steps[step])
    if positions == step_images(tags, ws.protocol, step, "overlap"):
        return data
    return digest_of({"data": data, "images": images})


def base_recipe(ws: Workspace) -> Recipe:
    """The student of step 0, trained or taken from a checkpoint."""
    spec = ws.spec
    if ws.start:
        files = {name: file_digest(ws.start / name) for name in ("student.safetensors", "index.json")}
        adopted = {"start": files, "names": list(ws.class_names(0)), **_base_facts(ws)}
        return Recipe("checkpoints", adopted, {})
    facts = {
        **_base_facts(ws),
        "stage": "base",
        "student": _student_facts(ws),
        "weights": ws.weights.digest,
        "augment": spec.augment.plain(),
        "train": base_training(ws).plain(),
    }
    return Recipe("checkpoints", facts, {})


def _student_facts(ws: Workspace) -> dict[str, Any]:
    """The architecture; of a few-shot model's digest, which may be abbreviated, the bytes are known (``weights``)."""
    facts = ws.spec.student.plain()
    return {**facts, "weights": MARK} if facts["weights"].startswith(MARK) else facts


def base_training(ws: Workspace) -> TrainSpec:
    """How step 0 is trained; the joint upper bound sees as many images as all steps of the benchmark together."""
    spec = ws.spec
    if spec.method != "joint":
        return spec.base
    tags = ws.source.tags("train")
    steps = range(len(ws.benchmark.steps))
    images = [len(step_images(tags, ws.benchmark, t, spec.scenario)) for t in steps]
    epochs = [spec.step.epochs if t else spec.base.epochs for t in steps]
    n_train = len(base_positions(ws.source, ws.protocol, spec.scenario))
    return spec.base.model_copy(update={"epochs": joint_epochs(images, epochs, n_train)})


def bank_recipe(ws: Workspace) -> Recipe:
    """The memory bank of the base classes."""
    return Recipe("banks", {**_base_facts(ws), "memory": ws.spec.fmwiss.memory.plain()}, {})


def labels_recipe(ws: Workspace, step: int) -> Recipe:
    """The co-segmented label set of a step; scenarios that give the step the same images share it."""
    spec = ws.spec
    facts = {
        "version": ALGORITHM_VERSION,
        "data": _step_data(ws, step),
        "classes": list(ws.protocol.steps[step]),
        "old": list(ws.protocol.seen(step - 1)) if spec.foundation.old_names else [],
        "canvas": spec.data.canvas,
        "scorer": build_scorer(spec.foundation, ws.settings.weights, str(ws.device)).digest,
        "grouper": build_grouper(spec.foundation, ws.settings.weights, str(ws.device)).digest,
        "cosegment": spec.foundation.cosegment.plain(),
        "seed": spec.seed,
    }
    if ws.protocol.family == "folder" and facts["old"]:  # ids of a folder's classes do not tell their names
        facts["old_names"] = [ws.source.classes[c - 1] for c in ws.protocol.seen(step - 1)]
    names = [ws.source.classes[c - 1] for c in ws.protocol.seen(step)]
    if spec.foundation.cosegment.refine == "pamr":
        facts["pamr"] = PAMR_VERSION
    words = {name: ws.prompts[name] for name in names if ws.prompts[name] != (name,)}
    return Recipe("labels", {**facts, "prompts": words} if words else facts, {})


def step_recipe(ws: Workspace, step: int) -> Recipe:
    """The student of step t >= 1, and through its parents everything before it."""
    spec = ws.spec
    parents = {"previous": checkpoint_recipe(ws, step - 1).digest}
    if spec.uses_labels:
        parents["labels"] = labels_recipe(ws, step).digest
    facts: dict[str, Any] = {
        "version": ALGORITHM_VERSION,
        "stage": "step",
        "method": spec.method,
        **code_version(METHODS[spec.method].version),
        "classes": list(ws.protocol.steps[step]),
        "augment": spec.augment.plain(),
        "train": spec.step.plain(),
        "seed": spec.seed,
    }
    if (data := _step_data(ws, step)) != ws.source.fingerprint:
        facts["data"] = data  # otherwise known through the base student
    if spec.step.tuning == "svf":
        facts["svf"] = "one set of bases for all steps"
    settings = effective_settings(ws)
    if settings is not None:
        facts["settings"] = settings.plain({"memory"})
    if uses_bank(ws):
        parents["bank"] = bank_recipe(ws).digest
    return Recipe("checkpoints", facts, parents)


def uses_bank(ws: Workspace) -> bool:
    """Whether old-class instances are pasted: the method wants it, and there are base images to cut them from.

    A run that starts from a checkpoint may have none.
    """
    if not ws.spec.pastes:
        return False
    return not ws.start or bool(base_positions(ws.source, ws.protocol, ws.spec.scenario))


def effective_settings(ws: Workspace) -> Section | None:
    """The method's settings; without a memory bank nothing is pasted."""
    settings = ws.spec.method_settings
    if ws.spec.pastes and not uses_bank(ws) and isinstance(settings, FmwissSpec):
        return settings.model_copy(update={"paste": settings.paste.model_copy(update={"probability": 0.0})})
    return settings


def checkpoint_recipe(ws: Workspace, step: int) -> Recipe:
    """The student after ``step``."""
    return base_recipe(ws) if step == 0 else step_recipe(ws, step)


def final_labels_recipe(ws: Workspace, step: int) -> Recipe:
    """The plug-in's masks after training: a correction of the co-segmented set where the method learns from one."""
    trained = step_recipe(ws, step)
    parents = {"parent": trained.parents["labels"]} if "labels" in trained.parents else {}
    return Recipe("labels", {"version": ALGORITHM_VERSION, "stage": "final"}, {**parents, "teacher": trained.digest})


def evaluation_recipe(ws: Workspace, step: int) -> Recipe:
    """The confusion matrix of a checkpoint."""
    facts = {
        "version": ALGORITHM_VERSION,
        "data": ws.source.fingerprint_of(ws.source.ids("eval"), ws.protocol.seen(step)),
        "seen": list(ws.protocol.seen(step)),
        "crop": ws.spec.data.eval_crop,
    }
    return Recipe("evaluations", facts, {"checkpoint": checkpoint_recipe(ws, step).digest})
