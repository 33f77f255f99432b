"""Checks that come before any training: the data, and what an earlier step must have left."""

from __future__ import annotations

from stores.plans.run import Run
from tasks.base import heavy_task
from wilss.errors import DataError, SpecError
from wilss.learn.loop import SVF_STAGES
from wilss.models.files import input_of, no_weights
from wilss.nets.segmenter import build_backbone
from wilss.nets.stages import last_stages


@heavy_task(name="data")
def prepare_data(run: Run) -> dict[str, int]:
    """Read the lists, decode every file once and count the images of each step.

    Raises DataError or DataNotFoundError that names the first bad file, SpecError for a package that is not here.
    """
    run.spec.method_settings.require(run.spec.entry.reads)
    run.session.check(run.source)
    learnt = range(run.first_step + 1 if run.given else 0, run.last_step + 1)
    counts = {f"step {step}": len(run.lists.positions(step)) for step in learnt}
    for step in learnt[1:] if run.start else learnt:  # a checkpoint stands for step 0
        run.lists.require_images(step)
        if step and run.spec.uses_labels:
            run.check_words(step)
    if run.spec.merged:
        _require_masks(run)
    _require_stages(run)
    run.session.say(", ".join(f"{name}: {count} images" for name, count in counts.items()))
    return counts


def _require_stages(run: Run) -> None:
    """Raise SpecError for stages that the backbone does not have, before step 0 is trained."""
    base, step = run.spec.base, run.spec.step
    wanted = {"base.tuned_stages": None if run.start or run.given else base.tuned_stages}
    if run.last_step:
        svf = SVF_STAGES if step.tuning == "svf" else None
        wanted |= {"step.tuned_stages": step.tuned_stages, "step.tuning=svf": svf}
    found = {setting: count for setting, count in wanted.items() if count}
    if not found:
        return
    card = input_of(run.weights, run.spec.data.canvas)
    backbone = build_backbone(run.spec.student, no_weights(run.spec.student.backbone, card))
    for setting, count in found.items():
        try:
            last_stages(backbone, count)
        except SpecError as error:
            raise SpecError(f"{setting}: {error}") from error


def _require_masks(run: Run) -> None:
    """Raise DataError when a class of the merged step is in no image with a mask."""
    tags = run.lists.training.tags
    shown = {c for p in run.lists.positions(0) for c in tags[p]}
    tagged = {c for row in tags for c in row}
    missing = run.names(tuple(c for c in run.protocol.steps[0] if c in tagged - shown))
    if missing:
        method, names = run.spec.method, ", ".join(missing)
        raise DataError(f"{method} learns every class from masks, but no image with a mask shows {names}")
