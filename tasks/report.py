"""The report task: report.json and report.html in the run's own folder."""

from __future__ import annotations

import json
import math
import resource
import sys
from importlib.metadata import version
from typing import Any

import torch

from stores.artefacts import Manifest
from stores.checkpoints import load_checkpoint, load_index
from stores.labels import LabelSet
from stores.runs import run_folder, write_run
from tasks.evaluate import label_quality, read_confusions
from tasks.inspect import predict_image, sheet, truth_picture
from tasks.recipes import (
    bank_recipe,
    checkpoint_recipe,
    evaluation_recipe,
    final_labels_recipe,
    labels_recipe,
    uses_bank,
)
from tasks.workspace import Workspace, heavy_task, open_workspace
from wilss.data.source import Split
from wilss.measure.confusion import iou
from wilss.measure.render import contact_sheet, loss_curves, overlay, png
from wilss.measure.report import render_report
from wilss.measure.tables import CONVENTIONS, Metrics, forgetting, group_means, metrics
from wilss.spec import RunSpec, Settings

N_PICTURES = 8


@heavy_task
def write_report(spec: RunSpec, settings: Settings, last_step: int, stage_seconds: dict[str, float]) -> dict[str, Any]:
    """Gather what is stored of a run up to ``last_step`` and write its report; returns the content of report.json."""
    ws = open_workspace(spec, settings)
    steps = [_step_entry(ws, step) for step in range(last_step + 1)]
    label_sets = [entry for step in range(1, last_step + 1) for entry in _label_entries(ws, step)]
    folder = run_folder(settings, spec)
    report = {
        "run": folder.name,
        "benchmark": spec.benchmark,
        "method": spec.method,
        "scenario": spec.scenario,
        "seed": spec.seed,
        "convention": "C",
        "per_class_iou": steps[-1]["per_class_iou"],
        "metrics": steps[-1]["metrics"],
        "steps": steps,
        "label_sets": label_sets,
        "stage_seconds": stage_seconds,
        "total_seconds": sum(stage_seconds.values()),
        "peak_rss_bytes": peak_rss_bytes(),
        "versions": versions(),
        "device": str(ws.device),
        "artefacts": _artefacts(ws, last_step),
        "skipped_images": ws.source.skipped,
        "sources": settings.sources,
        "spec": spec.model_dump(mode="json"),
    }
    html = render_report(report, _pictures(ws, last_step), _curves(ws, last_step), _new_names(ws, last_step))
    write_run(folder, {"report.json": json.dumps(report, indent=1, allow_nan=False), "report.html": html})
    return report


def peak_rss_bytes() -> int:
    """Largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def versions() -> dict[str, str]:
    """Versions that may change numbers."""
    packages = ("wilss", "torch", "timm", "open_clip_torch", "kornia", "zarr", "prefect")
    return {"python": sys.version.split()[0], **{name: version(name) for name in packages}}


def _step_entry(ws: Workspace, step: int) -> dict[str, Any]:
    """Means and IoU of every class after a step: old are the base classes, new those of all later steps.

    The joint upper bound is scored as the benchmark's last step.
    """
    reached = len(ws.benchmark.steps) - 1 if ws.spec.method == "joint" else step
    n_old = len(ws.benchmark.steps[0])
    names = ("background", *ws.class_names(step))
    tables: dict[str, Any] = {}
    for scoring, matrix in read_confusions(ws, step).items():
        per_class = iou(matrix)
        tables[scoring] = {
            "conventions": {name: _means(metrics(per_class, n_old, name)) for name in CONVENTIONS},
            "groups": [plain(value) for value in group_means(per_class, ws.benchmark.sizes(reached))],
            "per_class_iou": {name: plain(float(value)) for name, value in zip(names, per_class, strict=True)},
        }
    return {
        "step": step,
        "n_classes": len(ws.protocol.seen(step)),
        "metrics": tables["full"]["conventions"]["C"],
        "per_class_iou": tables["full"]["per_class_iou"],
        "tables": tables,
        "forgetting": _forgetting(ws, step),
    }


def _forgetting(ws: Workspace, step: int) -> float | None:
    """Drop of the base classes since step 0; None for the joint upper bound, which has no step before."""
    if ws.spec.method == "joint":
        return None
    now, base = (iou(read_confusions(ws, number)["full"]) for number in (step, 0))
    return plain(forgetting(now, base, len(ws.benchmark.steps[0])))


def _means(values: Metrics) -> dict[str, float | None]:
    return {"old": plain(values.old), "new": plain(values.new), "all": plain(values.all)}


def plain(value: float) -> float | None:
    """JSON has no NaN: it becomes None."""
    return None if math.isnan(value) else value


def _label_manifests(ws: Workspace, step: int) -> list[Manifest]:
    recipes = [final_labels_recipe(ws, step)]
    if ws.spec.uses_labels:
        recipes.insert(0, labels_recipe(ws, step))
    return [manifest for recipe in recipes if (manifest := ws.store.find(recipe))]


def _label_entries(ws: Workspace, step: int) -> list[dict[str, Any]]:
    entries = []
    for manifest in _label_manifests(ws, step):
        quality = label_quality(ws, manifest)
        means = {stage: table["mean"] for stage, table in quality.items()}
        entries.append({"digest": manifest.digest, "step": step, "iou": means, "per_class_iou": quality})
    return entries


def _artefacts(ws: Workspace, last_step: int) -> dict[str, str]:
    found = {}
    if uses_bank(ws):
        found["memory bank"] = bank_recipe(ws).digest
    for step in range(last_step + 1):
        found[f"checkpoint {step}"] = checkpoint_recipe(ws, step).digest
        found[f"evaluation {step}"] = evaluation_recipe(ws, step).digest
        if step:
            for manifest in _label_manifests(ws, step):
                found[f"{'final labels' if 'teacher' in manifest.parents else 'labels'} {step}"] = manifest.digest
    return found


def _new_names(ws: Workspace, step: int) -> tuple[str, ...]:
    return tuple(ws.source.classes[c - 1] for c in ws.protocol.steps[step]) if step else ()


def _curves(ws: Workspace, last_step: int) -> str:
    histories = {}
    for step in range(last_step + 1):
        folder = ws.store.path("checkpoints", checkpoint_recipe(ws, step).digest)
        histories["base" if step == 0 else f"step {step}"] = load_index(folder).history
    return loss_curves(histories)


def _pictures(ws: Workspace, last_step: int) -> list[tuple[str, bytes]]:
    pictures = []
    if last_step and _label_manifests(ws, last_step):
        pictures.append((f"Pseudo-labels of step {last_step}", label_sheet(ws, last_step)))
    pictures.append(("Predictions before and after the last step", _prediction_sheet(ws, last_step)))
    return pictures


def label_sheet(ws: Workspace, step: int) -> bytes:
    """Image, truth, initial, refined and teacher masks of a few images, from lowest to highest agreement; PNG bytes."""
    sets = [LabelSet.open(ws.store.path("labels", m.digest)) for m in _label_manifests(ws, step)]
    order = sets[0].agreement().nan_to_num(2.0).argsort()
    picked = order[torch.linspace(0, len(order) - 1, min(N_PICTURES, len(order))).long()].tolist()
    return png(sheet(ws, sets, picked, ws.protocol.steps[step]))


@torch.inference_mode()
def _prediction_sheet(ws: Workspace, last_step: int) -> bytes:
    """Evaluation images with as many new classes as possible: truth, prediction before and after the last step."""
    steps = [0, last_step] if last_step else [0]
    models = [load_checkpoint(ws.store.path("checkpoints", checkpoint_recipe(ws, step).digest)) for step in steps]
    rows, notes = [], []
    for image_id, names in showcase(ws, N_PICTURES):
        image = ws.source.image(image_id)
        shown = [image, truth_picture(ws, image_id, image)]
        shown += [overlay(image, predict_image(model, index, image)) for model, index in models]
        rows.append(shown)
        notes.append(f"{image_id}: {', '.join(names)}")
    return png(contact_sheet(rows, ["image", "truth", *(f"after step {step}" for step in steps)], notes))


def showcase(ws: Workspace, count: int) -> list[tuple[str, list[str]]]:
    """Images to show, with their class names: those with a class of the benchmark's last step first.

    Evaluation images, or training images where there are none.
    """
    new = set(ws.benchmark.steps[-1])
    split: Split = "eval" if ws.source.ids("eval") else "train"
    tags = ws.source.tags(split)
    order = sorted(range(len(tags)), key=lambda i: (-bool(new & set(tags[i])), i))[:count]
    return [(ws.source.ids(split)[i], [ws.source.classes[c - 1] for c in tags[i]]) for i in order]
