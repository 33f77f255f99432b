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
from stores.reports import command_line, report_of_what_stands, versions, with_earlier_seconds
from stores.runs import fewshot_folder
from wilss.data.room import peak_resident
from wilss.data.source import Split
from wilss.fewshot.episodes.canvas import fit
from wilss.fewshot.episodes.draw import Episode
from wilss.fewshot.grid import Cell
from wilss.fewshot.scores import Gain, gain, summarise
from wilss.fewshot.spec import FewShotSpec
from wilss.models.card import FewShotCard, load_card
from wilss.report.fewshot import TuningGain, model_page_head, page, run_tables, split_scores
from wilss.report.fewshot_records import FewShotReport, SplitScores
from wilss.report.gallery import Gallery
from wilss.report.pictures import View, gallery

N_PICTURES = 10


@dataclass(frozen=True)
class ScoredModel:
    """References to a model, and to its frozen episodes and scores of every split."""

    head: ArtefactRef
    episodes: Mapping[Split, ArtefactRef]
    scores: Mapping[Split, ArtefactRef]


def gather_fewshot_report(run: FewShotRun, model: ScoredModel, seconds: Mapping[str, float]) -> FewShotReport:
    """Everything that is known of a scored model."""
    spec, there = run.spec, run.plan.standing(run.store)
    digests = {name: manifest.digest for name, manifest in there.items()}
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
        peak_rss_bytes=peak_resident(),
        versions=versions(),
        device=str(run.device),
        command=command_line(),
        started_by=run.session.started_by,
        artefacts={**digests, "episodes": run.plan["episodes eval"].recipe.digest},  # those of the novel classes
        made={name: manifest.created for name, manifest in there.items()},
        sources=run.settings.sources,
        spec=spec.shown(),
    ).sealed()


def standing_fewshot_report(run: FewShotRun) -> FewShotReport | None:
    """See `stores.reports.report_of_what_stands`."""
    path = fewshot_folder(run.settings, run.spec) / "fewshot.json"
    return report_of_what_stands(FewShotReport, path, run.session, run.plan.standing(run.store))


def fewshot_page(run: FewShotRun, model: ScoredModel, report: FewShotReport) -> str:
    """The page of a report, with pictures of a few episodes."""
    title, notes = model_page_head(report)
    history = load_card(run.store.folder(model.head), FewShotCard).history
    histories = {report.head: history} if history else {}
    return page(title, notes, run_tables(report), histories, _episodes_gallery(run, model), report)


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


def comparison_gallery(
    title: str, names: Sequence[str], runs: Sequence[FewShotRun], models: Sequence[ScoredModel]
) -> Gallery:
    """What models make of the same episodes of novel classes, one column each."""
    run = runs[0]
    episodes = load_episodes(run, "eval", models[0].episodes["eval"])[:N_PICTURES]
    found: list[list[Tensor]] = [[] for _ in episodes]
    truths: list[Tensor] = []
    for own, model in zip(runs, models, strict=True):
        for row, (_, predicted, truth) in enumerate(predictions(own, load_model(own, model.head), episodes, "eval")):
            found[row].append(predicted)
            truths.append(truth)
    rows = [
        (_caption(run, e), [_shown(run, e.supports[0], e.class_id), *_query(run, e.query, truths[row], found[row])])
        for row, e in enumerate(episodes)
    ]
    return gallery(title, ["support", "query", "truth", *names], rows)


def _scores_of(run: FewShotRun, model: ScoredModel, split: Split, names: Sequence[str]) -> SplitScores:
    classes = run.fold.wanted(split)
    summary = summarise(read_scores(run.store.folder(model.scores[split])), classes)
    return split_scores(summary, {c: names[c - 1] for c in classes})


def _but_tuning(spec: FewShotSpec) -> tuple[str, int, int, int]:
    return spec.head, spec.shots, spec.fold, spec.seed


def _gain(run: FewShotRun, model: ScoredModel, over: ScoredModel, split: Split) -> Gain:
    ours, theirs = (read_scores(run.store.folder(one.scores[split])) for one in (model, over))
    return gain(ours, theirs, run.fold.wanted(split))


def _episodes_gallery(run: FewShotRun, model: ScoredModel) -> Gallery:
    """Supports, query, truth and prediction of a few episodes of novel classes."""
    episodes = load_episodes(run, "eval", model.episodes["eval"])[:N_PICTURES]
    rows = []
    for episode, found, truth in predictions(run, load_model(run, model.head), episodes, "eval"):
        supports = [_shown(run, support, episode.class_id) for support in episode.supports]
        rows.append((_caption(run, episode), [*supports, *_query(run, episode.query, truth, [found])]))
    titles = [f"support {k + 1}" for k in range(run.spec.shots)]
    return gallery("Episodes", [*titles, "query", "truth", "prediction"], rows)


def _caption(run: FewShotRun, episode: Episode) -> str:
    return f"{episode.query}: {run.fold.test_classes[episode.class_id - 1]}"


def _shown(run: FewShotRun, image_id: str, class_id: int) -> View:
    image, mask = run.test.image(image_id), run.test.mask(image_id)
    return View(image, (mask == class_id).to(torch.uint8), "object")


def _query(run: FewShotRun, image_id: str, truth: Tensor, found: Sequence[Tensor]) -> list[View]:
    image = run.test.image(image_id)
    if image.shape[-2:] != truth.shape:  # scored on the canvas
        image = fit(image, truth.shape[-1])
        height, width = image.shape[-2:]
        truth, found = truth[:height, :width], [mask[:height, :width] for mask in found]
    return [View(image), *(View(image, mask.to(torch.uint8), "object") for mask in (truth, *found))]
