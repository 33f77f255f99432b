"""Reports of few-shot models and of comparisons between them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from stores.models.card import FewShotCard, load_card
from stores.runs import fewshot_comparison_folder, fewshot_folder, write_run
from tasks.fewshot import folder_of, load_episodes, load_model, predictions, read_scores
from tasks.fewshot_workspace import FewShotWorkspace, episodes_recipe, head_recipe, open_fewshot
from tasks.report import peak_rss_bytes, versions
from tasks.workspace import heavy_task
from wilss.data.source import Split
from wilss.fewshot.episodes.canvas import fit
from wilss.fewshot.grid import FewShotGrid
from wilss.fewshot.scores import Gain, gain, summarise
from wilss.fewshot.spec import FewShotSpec
from wilss.report.comparison import markdown
from wilss.report.fewshot import TuningGain, entry, gain_table, grid_table, page, run_tables
from wilss.report.pictures import contact_sheet, loss_curves, png, spotlight
from wilss.spec import Settings

N_PICTURES = 10
TILE = 128


@heavy_task
def write_fewshot_report(spec: FewShotSpec, settings: Settings, seconds: dict[str, float]) -> dict[str, Any]:
    """Gather what is stored of a model and write its report; returns the content of report.json."""
    ws = open_fewshot(spec, settings)
    names = {"eval": ws.fold.test_classes, "train": ws.fold.train_classes}
    parts = {}
    for key, split in (("novel", "eval"), ("base", "train")):
        classes = ws.fold.wanted(split)
        found = summarise(read_scores(ws, split), classes)
        parts[key] = entry(found, {c: names[split][c - 1] for c in classes})
    history = load_card(folder_of(ws), FewShotCard).history
    report: dict[str, Any] = {
        "benchmark": spec.benchmark,
        "fold": spec.fold,
        "head": spec.head,
        "tuning": spec.train.tuning,
        "shots": spec.shots,
        "seed": spec.seed,
        "lists": spec.lists,
        "rule": spec.rule,
        "resolution": spec.resolution,
        **parts,
        "stage_seconds": seconds,
        "peak_rss_bytes": peak_rss_bytes(),
        "versions": versions(),
        "device": str(ws.device),
        "artefacts": {"head": head_recipe(ws).digest, "episodes": episodes_recipe(ws, "eval").digest},
        "sources": settings.sources,
        "spec": spec.model_dump(mode="json"),
    }
    folder = fewshot_folder(settings, spec)
    report["run"] = folder.name
    title = f"{spec.benchmark} fold {spec.fold}: {spec.head} ({spec.train.tuning}), {spec.shots} shot"
    notes = [f"seed {spec.seed}, {spec.lists} lists, query drawn by {spec.rule}; the model of the last epoch"]
    curves = loss_curves({spec.head: history}) if history else ""
    pictures = [("Episodes: supports with their masks, query, truth, prediction", _pictures(ws))]
    html = page(title, notes, run_tables(report), curves, pictures)
    write_run(folder, {"fewshot.json": json.dumps(report, indent=1, allow_nan=False), "fewshot.html": html})
    return report


@heavy_task
def write_fewshot_comparison(
    grid: FewShotGrid, settings: Settings, reports: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Write ``compare.json``, ``table.md``, ``scores.csv`` and ``compare.html``; returns the content of the first.

    Args:
        reports: of every cell, in the order of ``grid.cells()``.
    """
    by_name: dict[str, list[dict[str, Any]]] = {}
    for cell, report in zip(grid.cells(), reports, strict=True):
        by_name.setdefault(cell.name, []).append(report)
    first = next(grid.cells()).spec
    folder = fewshot_comparison_folder(settings, grid)
    tables = [grid_table(by_name, grid.folds, grid.shots)]
    if gains := _gains(grid, settings):
        tables.append(gain_table(gains, grid.folds))
    title = f"{first.benchmark}: {', '.join(grid.heads)}"
    notes = [
        f"seeds {', '.join(map(str, grid.seeds))}; {first.lists} lists; {first.episodes} episodes a fold, the same for "
        "every model; the model of the last epoch",
        "errors are over episodes; how far another training would land, only several seeds tell",
    ]
    pictures = [(f"Fold {grid.folds[0]}, the same episodes", _side_by_side(grid, settings))]
    content = {
        "folder": str(folder),
        "benchmark": first.benchmark,
        "device": reports[0]["device"],
        "tables": [asdict(table) for table in tables],
        "runs": [report["run"] for report in reports],
    }
    files = {
        "compare.json": json.dumps(content, indent=1, allow_nan=False),
        "table.md": markdown(title, tables),
        "scores.csv": _csv(reports),
        "compare.html": page(title, notes, tables, "", pictures),
    }
    write_run(folder, files)
    return content


def _gains(grid: FewShotGrid, settings: Settings) -> dict[str, list[TuningGain]]:
    """Tuned models against the same head on the frozen backbone, where the grid has both."""
    specs = [cell.spec for cell in grid.cells()]
    frozen = {_but_tuning(spec): spec for spec in specs if spec.train.tuning == "frozen"}
    found: dict[str, list[TuningGain]] = {}
    for cell in grid.cells():
        spec, plain = cell.spec, frozen.get(_but_tuning(cell.spec))
        if plain is not None and spec.train.tuning != "frozen":
            novel, base = _gain(spec, plain, settings, "eval"), _gain(spec, plain, settings, "train")
            found.setdefault(cell.name, []).append(TuningGain(spec.fold, spec.seed, novel, base))
    return found


def _but_tuning(spec: FewShotSpec) -> tuple[str, int, int, int]:
    return spec.head, spec.shots, spec.fold, spec.seed


def _gain(spec: FewShotSpec, plain: FewShotSpec, settings: Settings, split: Split) -> Gain:
    of, over = open_fewshot(spec, settings), open_fewshot(plain, settings)
    return gain(read_scores(of, split), read_scores(over, split), of.fold.wanted(split))


def _csv(reports: Sequence[dict[str, Any]]) -> str:
    """One row a model: everything that a table of one's own needs."""
    buffer = io.StringIO()
    keys = ("benchmark", "fold", "head", "tuning", "shots", "seed")
    rows = csv.writer(buffer)
    rows.writerow([*keys, "novel_miou", "standard_error", "fb_iou", "base_miou", "episodes"])
    for report in reports:
        novel = report["novel"]
        scores = [novel["mean_iou"], novel["standard_error"], novel["fb_iou"], report["base"]["mean_iou"]]
        rows.writerow([*(report[key] for key in keys), *(f"{score:.5f}" for score in scores), novel["episodes"]])
    return buffer.getvalue()


def _pictures(ws: FewShotWorkspace) -> bytes:
    episodes = load_episodes(ws, "eval").episodes[:N_PICTURES]
    rows, notes = [], []
    for episode, found, truth in predictions(ws, load_model(ws), episodes, "eval"):
        rows.append(
            [*(_shown(ws, s, episode.class_id) for s in episode.supports), *_query(ws, episode.query, truth, [found])]
        )
        notes.append(f"{episode.query}: {ws.fold.test_classes[episode.class_id - 1]}")
    supports = [f"support {k + 1}" for k in range(ws.spec.shots)]
    return png(contact_sheet(rows, [*supports, "query", "truth", "prediction"], notes, TILE))


def _side_by_side(grid: FewShotGrid, settings: Settings) -> bytes:
    """What every model of the first fold, number of shots and seed makes of the same episodes."""
    cells = [c for c in grid.cells() if (c.spec.fold, c.spec.shots, c.spec.seed) == _first(grid)]
    ws = open_fewshot(cells[0].spec, settings)
    episodes = load_episodes(ws, "eval").episodes[:N_PICTURES]
    found: list[list[Tensor]] = [[] for _ in episodes]
    truths: list[Tensor] = []
    for cell in cells:
        own = open_fewshot(cell.spec, settings)
        for row, (_, predicted, truth) in enumerate(predictions(own, load_model(own), episodes, "eval")):
            found[row].append(predicted)
            truths.append(truth)
    rows = [
        [_shown(ws, e.supports[0], e.class_id), *_query(ws, e.query, truths[row], found[row])]
        for row, e in enumerate(episodes)
    ]
    notes = [f"{e.query}: {ws.fold.test_classes[e.class_id - 1]}" for e in episodes]
    return png(contact_sheet(rows, ["support", "query", "truth", *(c.name for c in cells)], notes, TILE))


def _first(grid: FewShotGrid) -> tuple[int, int, int]:
    return grid.folds[0], grid.shots[0], grid.seeds[0]


def _shown(ws: FewShotWorkspace, image_id: str, class_id: int) -> Tensor:
    image, mask = ws.test.image(image_id), ws.test.mask(image_id)
    return spotlight(image, (mask == class_id).to(torch.uint8))


def _query(ws: FewShotWorkspace, image_id: str, truth: Tensor, found: Sequence[Tensor]) -> list[Tensor]:
    image = ws.test.image(image_id)
    if image.shape[-2:] != truth.shape:  # scored on the canvas
        image = fit(image, truth.shape[-1])
        height, width = image.shape[-2:]
        truth, found = truth[:height, :width], [mask[:height, :width] for mask in found]
    return [image, spotlight(image, truth), *(spotlight(image, f.to(torch.uint8)) for f in found)]
