"""All finished runs as people tell them apart: when, how good, how long, and which settings differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from wilss.errors import FormatError
from wilss.report.fewshot_records import FewShotReport
from wilss.report.records import Made, RunReport, percent
from wilss.section import flat, in_words

MOST_SHOWN = 8
"""Settings of a run that are told."""
IN_NAME = frozenset({"benchmark", "method", "scenario", "seed", "head", "fold", "shots", "train.tuning", "preset"})


@dataclass(frozen=True)
class RunLine:
    """A run in a list.

    written: local time. scores: percent by what they are called. differs: settings in which runs of one benchmark
    differ, as ``--set`` takes them.
    """

    run: str
    written: str
    scores: Mapping[str, str]
    seconds: float
    differs: tuple[str, ...]


def list_runs(root: Path) -> tuple[list[RunLine], list[RunLine], list[FormatError]]:
    """Incremental runs and few-shot runs, oldest first, and what is wrong with those that cannot be read."""
    problems: list[FormatError] = []
    runs = list(_read(RunReport, root / "runs", "report.json", problems))
    fewshot = list(_read(FewShotReport, root / "fewshot", "fewshot.json", problems))
    return run_lines(runs), run_lines(fewshot), problems


def _read(
    kind: type[RunReport] | type[FewShotReport], folder: Path, name: str, problems: list[FormatError]
) -> Iterator[tuple[float, RunReport | FewShotReport]]:
    found = [(path.stat().st_mtime, path) for path in folder.glob(f"*/{name}")]
    for written, path in sorted(found):
        try:
            yield written, kind.read(path)
        except FormatError as error:
            problems.append(error)


def run_lines(found: Sequence[tuple[float, RunReport | FewShotReport]]) -> list[RunLine]:
    """A line for every report; each comes with the time when it was written, in seconds."""
    told = [_settings(report) for _, report in found]
    values: dict[str, dict[str, set[str]]] = {}
    for own, (_, report) in zip(told, found, strict=True):
        group = values.setdefault(report.benchmark, {})
        for key, value in own.items():
            group.setdefault(key, set()).add(value)
    several = {name: {key for key, known in group.items() if len(known) > 1} for name, group in values.items()}
    return [
        RunLine(
            run=report.run,
            written=datetime.fromtimestamp(written).strftime("%Y-%m-%d %H:%M"),
            scores=_scores(report),
            seconds=sum(report.stage_seconds.values()),
            differs=_differing(own, several[report.benchmark]),
        )
        for own, (written, report) in zip(told, found, strict=True)
    ]


def _scores(report: RunReport | FewShotReport) -> dict[str, str]:
    if isinstance(report, RunReport):
        return {key: percent(getattr(report.metrics, key)) for key in ("old", "new", "all")}
    return {"novel": percent(report.novel.mean_iou), "base": percent(report.base.mean_iou)}


def _settings(report: Made) -> dict[str, str]:
    """Every setting and source of a run in words, by key."""
    return {key: in_words(value) for key, value in flat({**report.spec, **report.sources}).items()}


def _differing(own: Mapping[str, str], several: Set[str]) -> tuple[str, ...]:
    """Settings of which runs of a group have several values, a method's own only where it is that of the run."""
    keys = [key for key in own if key not in IN_NAME and key in several]
    told = tuple(f"{key}={own[key]:.60}" for key in keys if own[key] != "null")
    more = len(told) - MOST_SHOWN
    return told if more <= 0 else (*told[:MOST_SHOWN], f"and {more} more")
