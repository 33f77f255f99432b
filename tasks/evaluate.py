"""The evaluation task: the confusion matrices of a student."""

from __future__ import annotations

import time
from pathlib import Path

from torch import Tensor

from stores.artefacts import ArtefactRef, Manifest
from stores.evaluations import save_confusions
from stores.plans.run import Run
from stores.progress import stage_progress
from tasks.base import heavy_task, named
from wilss.measure.score import score_crops, score_images
from wilss.models.files import load_student


@heavy_task(name="evaluation", task_run_name=named("evaluation of step {step}"))
def evaluation(run: Run, step: int, student: ArtefactRef) -> ArtefactRef:
    """Score the student of a step on all evaluation images, full size and, where wanted, centre crops."""
    node = run.node("evaluation", step)

    def make(folder: Path) -> Manifest:
        start = time.monotonic()
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
        save_confusions(card.classes, tables, folder)
        counts = {"images": len(run.source.ids("eval")), "pixels": int(tables["full"].sum())}
        return run.store.publish(node.recipe, folder, counts, {"seconds": time.monotonic() - start})

    return run.session.obtain(node, make)
