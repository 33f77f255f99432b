"""Checks that come before any training: the data, and what an earlier step must have left."""

from __future__ import annotations

from tasks.progress import say
from tasks.recipes import bank_recipe, checkpoint_recipe, evaluation_recipe, uses_bank
from tasks.train import require
from tasks.workspace import heavy_task, open_workspace
from wilss.errors import SpecError
from wilss.protocol import step_images
from wilss.spec import RunSpec, Settings


@heavy_task
def prepare_data(spec: RunSpec, settings: Settings) -> dict[str, int]:
    """Read the lists, decode every file once and count the images of each step.

    Raises DataError or DataNotFoundError that names the first bad file.
    """
    ws = open_workspace(spec, settings)
    ws.source.check()
    if ws.source.skipped:
        say(f"left out {ws.source.skipped} unreadable images")
    tags = ws.source.tags("train")
    steps = range(len(ws.protocol.steps))
    counts = {f"step {t}": len(step_images(tags, ws.protocol, t, spec.scenario)) for t in steps}
    say(", ".join(f"{name}: {count} images" for name, count in counts.items()))
    return counts


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
