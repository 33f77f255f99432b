"""The comparison task: tables, plot and pictures over the runs of a grid, in a folder of their own."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import torch

from stores.checkpoints import load_checkpoint
from stores.runs import comparison_folder, write_run
from tasks.inspect import predict_image, truth_picture
from tasks.recipes import checkpoint_recipe
from tasks.report import N_PICTURES, showcase
from tasks.workspace import heavy_task, open_workspace
from wilss.device import resolve_device
from wilss.grid import Comparison
from wilss.measure.compare import csv_classes, csv_rows, html, markdown, plot, tables
from wilss.measure.render import contact_sheet, overlay, png
from wilss.spec import Settings


@heavy_task
def write_comparison(grid: Comparison, settings: Settings, reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Write ``compare.json``, ``table.md``, ``runs.csv``, ``classes.csv`` and ``compare.html``.

    Args:
        reports: of every cell, in the order of ``grid.runs()``.

    Returns:
        The content of ``compare.json``.
    """
    cells = grid.runs()
    by_name: dict[str, list[dict[str, Any]]] = {name: [] for name in grid.methods}
    for cell, report in zip(cells, reports, strict=True):
        by_name[cell.name].append(report)
    spec = cells[0].spec
    title = f"{spec.benchmark}: {', '.join(grid.methods)}"
    found = tables(by_name, spec.data.eval_crop)
    runs = [
        {"run": report["run"], "name": cell.name, "seed": cell.seed, "seconds": report["total_seconds"]}
        for cell, report in zip(cells, reports, strict=True)
    ]
    drawing = plot(spec.benchmark, by_name)
    folder = comparison_folder(settings, grid)
    content = {
        "folder": str(folder),
        "benchmark": spec.benchmark,
        "scenario": spec.scenario,
        "methods": grid.methods,
        "seeds": grid.seeds,
        "convention": "C",
        "device": str(resolve_device(settings.device)),
        "tables": [asdict(table) for table in found],
        "runs": runs,
    }
    pictures = [(f"Evaluation images after the last step, seed {grid.seeds[0]}", _pictures(grid, settings))]
    files = {
        "compare.json": json.dumps(content, indent=1, allow_nan=False),
        "table.md": markdown(title, found),
        "runs.csv": csv_rows(by_name),
        "classes.csv": csv_classes(by_name),
        "plot.svg": drawing,
        "compare.html": html(title, spec.scenario, found, drawing, pictures, runs),
    }
    write_run(folder, files)
    return content


@torch.inference_mode()
def _pictures(grid: Comparison, settings: Settings) -> bytes:
    """Image, truth and every method's prediction after its last step, for evaluation images with new classes; PNG."""
    models = []
    for name in grid.methods:
        ws = open_workspace(grid.spec_of(name, grid.seeds[0]), settings)
        last = len(ws.protocol.steps) - 1
        models.append(load_checkpoint(ws.store.path("checkpoints", checkpoint_recipe(ws, last).digest)))
    rows, notes = [], []
    for image_id, names in showcase(ws, N_PICTURES):
        image = ws.source.image(image_id)
        predictions = [overlay(image, predict_image(model, index, image)) for model, index in models]
        rows.append([image, truth_picture(ws, image_id, image), *predictions])
        notes.append(f"{image_id}: {', '.join(names)}")
    return png(contact_sheet(rows, ["image", "truth", *grid.methods], notes))
