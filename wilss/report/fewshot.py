"""Tables and pages of few-shot scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from statistics import fmean
from typing import Any

from wilss.escapes import csv_text
from wilss.fewshot.scores import Gain, Summary
from wilss.report.comparison import spread
from wilss.report.fewshot_records import FewShotComparisonReport, FewShotReport, SplitScores
from wilss.report.gallery import Gallery
from wilss.report.pages import render
from wilss.report.records import Table, percent, share
from wilss.report.run import History, loss_charts


def split_scores(summary: Summary, names: Mapping[int, str]) -> SplitScores:
    """A summary with the names of its classes."""
    return SplitScores(
        per_class_iou={names[c]: share(value) for c, value in summary.per_class.items()},
        mean_iou=summary.mean_iou,
        fb_iou=summary.fb_iou,
        standard_error=summary.error,
        episodes=summary.episodes,
    )


def run_tables(report: FewShotReport) -> list[Table]:
    """Scores of one model."""
    columns = ("mIoU", "standard error", "FB-IoU", "episodes")
    rows = tuple(
        (title, (*map(percent, (part.mean_iou, part.standard_error, part.fb_iou)), str(part.episodes)))
        for title, part in (("novel classes", report.novel), ("base classes, training images", report.base))
    )
    title = f"Foreground IoU, scored at {report.resolution} size, %"
    return [Table(key="scores", title=title, columns=columns, rows=rows)]


def grid_table(reports: Mapping[str, Sequence[FewShotReport]], folds: Sequence[int], shots: Sequence[int]) -> Table:
    """One row a model: mIoU of every fold and their mean, FB-IoU, base classes and the gap to the novel ones.

    Mean ± sample standard deviation over seeds where there are several. "error" is the standard error of the mean over
    the episodes, which all seeds share.
    """
    columns = (*(f"fold {fold}" for fold in folds), "mean", "error", "FB-IoU", "base", "gap")
    rows = []
    for name, runs in reports.items():
        of_seed = [[run for run in runs if run.seed == seed] for seed in sorted({run.seed for run in runs})]
        of_fold = {f: [r.novel.mean_iou for r in runs if r.fold == f] for f in folds}
        novel = [fmean(r.novel.mean_iou for r in same) for same in of_seed]
        both = [fmean(r.novel.fb_iou for r in same) for same in of_seed]
        base = [fmean(r.base.mean_iou for r in same) for same in of_seed]
        gap = [b - n for b, n in zip(base, novel, strict=True)]
        error = _error_of_mean([r.novel.standard_error for r in runs], len(folds))
        cells = [*(spread(of_fold[f]) for f in folds), spread(novel), percent(error)]
        rows.append((name, tuple(map(str, [*cells, *(spread(v) for v in (both, base, gap))]))))
    kinds = " and ".join(map(str, shots))
    title = f"Foreground IoU over novel classes, {kinds} shot; base: classes that were trained, in training images; %"
    return Table(key="folds", title=title, columns=columns, rows=tuple(rows))


@dataclass(frozen=True)
class TuningGain:
    """What tuning the backbone changed: one model against the same head on the frozen one, over the same episodes."""

    fold: int
    seed: int
    novel: Gain
    base: Gain


def gain_table(gains: Mapping[str, Sequence[TuningGain]], folds: Sequence[int]) -> Table:
    """One row a tuned model: points of mIoU that it has more than the frozen one in every fold, and in the mean.

    Mean ± sample standard deviation over seeds where there are several; errors as in `grid_table`.
    """
    columns = (*(f"fold {fold}" for fold in folds), "mean", "error", "base", "error of base")
    rows = []
    for name, found in gains.items():
        seeds = sorted({one.seed for one in found})
        of_fold = [spread([one.novel.mean_iou for one in found if one.fold == fold]) for fold in folds]
        cells = list(map(str, of_fold))
        for part in ("novel", "base"):
            of_seed = [fmean(getattr(one, part).mean_iou for one in found if one.seed == seed) for seed in seeds]
            error = _error_of_mean([getattr(one, part).error for one in found], len(folds))
            cells += [str(spread(of_seed)), percent(error)]
        rows.append((name, tuple(cells)))
    title = "What tuning adds to the frozen backbone, over novel classes and (base) over trained ones; points of mIoU"
    return Table(key="gains", title=title, columns=columns, rows=tuple(rows))


def _error_of_mean(errors: Sequence[float], n_folds: int) -> float:
    """Of a mean over folds and seeds; folds are independent, the seeds of a fold share its episodes."""
    return hypot(*errors) / sqrt(len(errors) * n_folds)


def scores_csv(reports: Sequence[FewShotReport]) -> str:
    """One row a model: everything that a table of one's own needs."""
    keys = ("benchmark", "fold", "head", "tuning", "shots", "seed")
    rows: list[list[object]] = [[*keys, "novel_miou", "standard_error", "fb_iou", "base_miou", "episodes"]]
    for report in reports:
        novel = report.novel
        scores = [novel.mean_iou, novel.standard_error, novel.fb_iou, report.base.mean_iou]
        rows.append([*(getattr(report, key) for key in keys), *(f"{score:.5f}" for score in scores), novel.episodes])
    return csv_text(rows)


def page(
    title: str,
    notes: Sequence[str],
    tables: Sequence[Table],
    histories: Mapping[str, History],
    pictures: Gallery,
    facts: FewShotReport | FewShotComparisonReport,
) -> str:
    """The page of a model or a comparison.

    Args:
        histories: losses by training. pictures: of a few episodes. facts: whose settings, command and versions are
            told.
    """
    kind = "few-shot model" if isinstance(facts, FewShotReport) else "few-shot comparison"
    return render("fewshot.html.j2", title, kind, **page_content(notes, tables, histories, pictures, facts))


def page_content(
    notes: Sequence[str],
    tables: Sequence[Table],
    histories: Mapping[str, History],
    pictures: Gallery,
    facts: FewShotReport | FewShotComparisonReport,
) -> dict[str, Any]:
    """What ``fewshot.html.j2`` names; see `page`."""
    one = facts if isinstance(facts, FewShotReport) else None
    return {
        "notes": notes,
        "tables": tables,
        "charts": loss_charts(histories),
        "pictures": pictures,
        "cards": _cards(one) if one else [],
        "classes": one.novel.per_class_iou if one else {},
        "facts": facts,
    }


def model_page_head(report: FewShotReport) -> tuple[str, list[str]]:
    """Title and notes of a model's page."""
    title = f"{report.benchmark} fold {report.fold}: {report.head} ({report.tuning}), {report.shots} shot"
    return title, [
        f"seed {report.seed}, {report.lists} lists, query drawn by {report.rule}; the model of the last epoch"
    ]


def _cards(report: FewShotReport) -> list[tuple[str, str, str, bool]]:
    """What a model's page says first: label, number, explanation, whether it is the main one."""
    novel, base = report.novel, report.base
    return [
        (
            "novel classes",
            f"{percent(novel.mean_iou)} ± {percent(novel.standard_error)}",
            "mIoU, %, over episodes",
            True,
        ),
        ("FB-IoU", percent(novel.fb_iou), "foreground and background", False),
        ("base classes", percent(base.mean_iou), "training images", False),
        ("episodes", str(novel.episodes), "of novel classes", False),
    ]
