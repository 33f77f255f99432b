"""The evaluation task: the confusion matrices of a student."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from stores.artefacts import ArtefactRef, Manifest
from stores.evaluations import save_confusions
from stores.plans.run import Run
from stores.progress import stage_progress
from tasks.base import heavy_task, named
from tasks.score import summed
from wilss.measure.score import score_crops, score_images
from wilss.models.files import load_student


@heavy_task(name="evaluation", task_run_name=named("evaluation of step {step}"))
def evaluation(
    run: Run,
    step: int,
    student: ArtefactRef,
    counted: Sequence[tuple[str, Tensor]] = (),
    seconds: float = 0.0,
) -> ArtefactRef:
    """Score the student of a step on all evaluation images, full size and, where wanted, centre crops.

    Args:
        counted: the matrices of its parts, where workers have counted them. seconds: that this took.
    """
    node = run.node("evaluation", step)

    def make(folder: Path) -> Manifest:
        start = time.monotonic() - seconds
        if counted:
            return published(folder, run.class_names(step), summed(counted), start)
        model, card = load_student(run.store.folder(student), run.class_names(step))
        model, crop = model.to(run.device), run.spec.data.eval_crop
        tables: dict[str, Tensor] = {}
        with stage_progress(f"evaluate step {step}") as progress:
            for part in ("", *run.source.further_eval):
                data = run.lists.evaluation(step, run.spec.data.canvas, part)
                name = f"{part} " if part else ""
                tables[f"{name}full"] = score_images(model, data, progress=progress)
                if crop:
                    tables[f"{name}crop"] = score_crops(model, data, crop, progress=progress)
        return published(folder, card.classes, tables, start)

    def published(folder: Path, classes: tuple[str, ...], tables: dict[str, Tensor], start: float) -> Manifest:
        save_confusions(classes, tables, folder)
        counts = {"images": len(run.source.ids("eval")), "pixels": int(tables["full"].sum())}
        return run.store.publish(node.recipe, folder, counts, {"seconds": time.monotonic() - start})

    return run.session.obtain(node, make)
