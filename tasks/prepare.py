"""Checks that come before any training: the data, and what an earlier step must have left."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.label import check_prompts
from tasks.progress import say
from tasks.recipes import bank_recipe, checkpoint_recipe, evaluation_recipe, uses_bank
from tasks.train import require
from tasks.workspace import Workspace, check_once, heavy_task, open_workspace, require_device
from wilss.data.steps import base_positions, no_images
from wilss.errors import DataError, SpecError
from wilss.fewshot.spec import FewShotSpec
from wilss.learn.loop import SVF_STAGES
from wilss.nets.segmenter import build_backbone
from wilss.nets.svf import last_stages
from wilss.protocol import step_images
from wilss.section import lines_of
from wilss.spec import RunSpec, Settings


def say_settings(specs: Mapping[str, RunSpec | FewShotSpec], settings: Settings) -> None:
    """Say where runs compute and every setting that they read, by name; what several share is said once."""
    say(f"device: {require_device(settings.device)}")
    said: set[str] = set()
    for name, spec in specs.items():
        new = [line for line in lines_of(spec, spec.idle) if line not in said]
        if new:
            say("\n  ".join([f"settings of {name}:", *new]))
        said |= set(new)


@heavy_task
def prepare_data(spec: RunSpec, settings: Settings) -> dict[str, int]:
    """Read the lists, decode every file once and count the images of each step.

    Raises DataError or DataNotFoundError that names the first bad file.
    """
    ws = open_workspace(spec, settings)
    check_once(ws.source)
    tags = ws.source.tags("train")
    first = 1 if ws.start else 0  # a checkpoint stands for step 0
    counts = {}
    for step in range(len(ws.protocol.steps)):
        images = step_images(tags, ws.protocol, step, spec.scenario)
        counts[f"step {step}"] = len(images if step else base_positions(ws.source, ws.protocol, spec.scenario))
        if step >= first and not counts[f"step {step}"]:
            raise DataError(no_images(ws.source, ws.protocol, step, spec.scenario))
        if step and spec.uses_labels:
            check_prompts(ws, step)
    _require_masks_for_joint(ws)
    if spec.step.tuning == "svf" and len(ws.protocol.steps) > 1:
        last_stages(build_backbone(ws.spec.student, ws.weights), SVF_STAGES)  # said before step 0 is trained
    say(", ".join(f"{name}: {count} images" for name, count in counts.items()))
    return counts


def _require_masks_for_joint(ws: Workspace) -> None:
    """Raise DataError when the joint upper bound lacks masks of a class that the steps learn from tags."""
    if ws.spec.method != "joint":
        return
    tags = ws.source.tags("train")
    shown = {c for p in base_positions(ws.source, ws.protocol, ws.spec.scenario) for c in tags[p]}
    tagged = {c for row in tags for c in row}
    missing = [ws.source.classes[c - 1] for c in ws.protocol.steps[0] if c in tagged - shown]
    if missing:
        raise DataError(f"joint learns every class from masks, but no image with a mask shows {', '.join(missing)}")


@heavy_task
def require_predecessor(spec: RunSpec, settings: Settings, step: int) -> None:
    """Raise ArtefactNotFoundError unless everything that step t >= 1 starts from exists."""
    ws = open_workspace(spec, settings)
    if step >= len(ws.protocol.steps) or step < 0:
        raise SpecError(f"{ws.protocol.name} has no step {step}; its steps are 0 to {len(ws.protocol.steps) - 1}")
    for earlier in range(step):
        require(ws, checkpoint_recipe(ws, earlier), f"the student of step {earlier}")
        require(ws, evaluation_recipe(ws, earlier), f"the evaluation of step {earlier}")
    if uses_bank(ws):
        require(ws, bank_recipe(ws), "the memory bank")
