"""The report of a few-shot model, gathered from what is stored of it, and what a comparison shows of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stores.artefacts import ArtefactRef
from stores.episodes import load_episodes, read_scores
from stores.models.fewshot import load_model, predictions
from stores.plans.fewshot_run import FewShotRun
from stores.reports import command_line, peak_rss_bytes, report_of_what_stands, versions, with_earlier_seconds
from stores.runs import fewshot_folder
from wilss.data.source import Split
from wilss.fewshot.episodes.canvas import fit
from wilss.fewshot.grid import Cell
from wilss.fewshot.scores import Gain, gain, summarise
from wilss.fewshot.spec import FewShotSpec
from wilss.models.card import FewShotCard, load_card
from wilss.report.fewshot import TuningGain, page, run_tables, split_scores
from wilss.report.pictures import contact_sheet, loss_curves, png, spotlight
from wilss.report.records import FewShotReport, SplitScores

N_PICTURES = 10
TILE = 128


@dataclass(frozen=True)
class ScoredModel:
    """References to a model, and to its frozen episodes and scores of every split."""

    head: ArtefactRef
    episodes: Mapping[Split, ArtefactRef]
    scores: Mapping[Split, ArtefactRef]


def gather_fewshot_report(run: FewShotRun, model: ScoredModel, seconds: Mapping[str, float]) -> FewShotReport:
    """Everything that is known of a scored model."""
    spec = run.spec
    return FewShotReport(
        format=FewShotReport.FORMAT,
        run=fewshot_folder(run.settings, spec).name,
        benchmark=spec.benchmark,
        fold=spec.fold,
        head=spec.head,
        tuning=spec.train.tuning,
        shots=spec.shots,
        seed=spec.seed,
        lists=spec.lists,
        rule=spec.rule,
        resolution=spec.resolution,
        novel=_scores_of(run, model, "eval", run.fold.test_classes),
        base=_scores_of(run, model, "train", run.fold.train_classes),
        stage_seconds=with_earlier_seconds(FewShotReport, fewshot_folder(run.settings, spec) / "fewshot.json", seconds),
        peak_rss_bytes=peak_rss_bytes(),
        versions=versions(),
        device=str(run.device),
        command=command_line(),
        artefacts=_artefacts(run),
        made={name: manifest.created for name, manifest in run.plan.standing(run.store).items()},
        sources=run.settings.sources,
        spec=spec.shown(),
    ).sealed()


def standing_fewshot_report(run: FewShotRun) -> FewShotReport | None:
    """See `stores.reports.report_of_what_stands`."""
    path = fewshot_folder(run.settings, run.spec) / "fewshot.json"
    return report_of_what_stands(FewShotReport, path, run.session, run.plan.standing(run.store))


def _artefacts(run: FewShotRun) -> dict[str, str]:
    """Node -> digest of what the store has of a run; "episodes" are those of the novel classes."""
    there = {name: manifest.digest for name, manifest in run.plan.standing(run.store).items()}
    return {**there, "episodes": run.plan["episodes eval"].recipe.digest}


def fewshot_page(run: FewShotRun, model: ScoredModel, report: FewShotReport) -> str:
    """The page of a report, with pictures of a few episodes."""
    spec = run.spec
    title = f"{spec.benchmark} fold {spec.fold}: {spec.head} ({spec.train.tuning}), {spec.shots} shot"
    notes = [f"seed {spec.seed}, {spec.lists} lists, query drawn by {spec.rule}; the model of the last epoch"]
    history = load_card(run.store.folder(model.head), FewShotCard).history
    curves = loss_curves({spec.head: history}) if history else ""
    pictures = [("Episodes: supports with their masks, query, truth, prediction", _episodes_sheet(run, model))]
    return page(title, notes, run_tables(report), curves, pictures, report)


def tuning_gains(
    cells: Sequence[Cell], runs: Sequence[FewShotRun], models: Sequence[ScoredModel]
) -> dict[str, list[TuningGain]]:
    """Tuned models against the same head on the frozen backbone, where the grid has both; by the row's name."""
    frozen = {
        _but_tuning(cell.spec): model
        for cell, model in zip(cells, models, strict=True)
        if cell.spec.train.tuning == "frozen"
    }
    found: dict[str, list[TuningGain]] = {}
    for cell, run, model in zip(cells, runs, models, strict=True):
        spec, plain = cell.spec, frozen.get(_but_tuning(cell.spec))
        if plain is not None and spec.train.tuning != "frozen":
            novel, base = _gain(run, model, plain, "eval"), _gain(run, model, plain, "train")
            found.setdefault(cell.name, []).append(TuningGain(spec.fold, spec.seed, novel, base))
    return found


def comparison_sheet(titles: Sequence[str], runs: Sequence[FewShotRun], models: Sequence[ScoredModel]) -> bytes:
    """What models make of the same episodes of novel classes, one column each; PNG bytes."""
    run = runs[0]
    episodes = load_episodes(run, "eval", models[0].episodes["eval"])[:N_PICTURES]
    found: list[list[Tensor]] = [[] for _ in episodes]
    truths: list[Tensor] = []
    for own, model in zip(runs, models, strict=True):
        for row, (_, predicted, truth) in enumerate(predictions(own, load_model(own, model.head), episodes, "eval")):
            found[row].append(predicted)
            truths.append(truth)
    rows = [
        [_shown(run, e.supports[0], e.class_id), *_query(run, e.query, truths[row], found[row])]
        for row, e in enumerate(episodes)
    ]
    notes = [f"{e.query}: {run.fold.test_classes[e.class_id - 1]}" for e in episodes]
    return png(contact_sheet(rows, ["support", "query", "truth", *titles], notes, TILE))


def _scores_of(run: FewShotRun, model: ScoredModel, split: Split, names: Sequence[str]) -> SplitScores:
    classes = run.fold.wanted(split)
    summary = summarise(read_scores(run.store.folder(model.scores[split])), classes)
    return split_scores(summary, {c: names[c - 1] for c in classes})


def _but_tuning(spec: FewShotSpec) -> tuple[str, int, int, int]:
    return spec.head, spec.shots, spec.fold, spec.seed


def _gain(run: FewShotRun, model: ScoredModel, over: ScoredModel, split: Split) -> Gain:
    ours, theirs = (read_scores(run.store.folder(one.scores[split])) for one in (model, over))
    return gain(ours, theirs, run.fold.wanted(split))


def _episodes_sheet(run: FewShotRun, model: ScoredModel) -> bytes:
    """Supports, query, truth and prediction of a few episodes of novel classes; PNG bytes."""
    episodes = load_episodes(run, "eval", model.episodes["eval"])[:N_PICTURES]
    rows, notes = [], []
    for episode, found, truth in predictions(run, load_model(run, model.head), episodes, "eval"):
        supports = [_shown(run, support, episode.class_id) for support in episode.supports]
        rows.append([*supports, *_query(run, episode.query, truth, [found])])
        notes.append(f"{episode.query}: {run.fold.test_classes[episode.class_id - 1]}")
    titles = [f"support {k + 1}" for k in range(run.spec.shots)]
    return png(contact_sheet(rows, [*titles, "query", "truth", "prediction"], notes, TILE))


def _shown(run: FewShotRun, image_id: str, class_id: int) -> Tensor:
    image, mask = run.test.image(image_id), run.test.mask(image_id)
    return spotlight(image, (mask == class_id).to(torch.uint8))


def _query(run: FewShotRun, image_id: str, truth: Tensor, found: Sequence[Tensor]) -> list[Tensor]:
    image = run.test.image(image_id)
    if image.shape[-2:] != truth.shape:  # scored on the canvas
        image = fit(image, truth.shape[-1])
        height, width = image.shape[-2:]
        truth, found = truth[:height, :width], [mask[:height, :width] for mask in found]
    return [image, spotlight(image, truth), *(spotlight(image, f.to(torch.uint8)) for f in found)]
