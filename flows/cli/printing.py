"""What the command line prints: tables, JSON, and where to look next."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wilss.escapes import harmless
from wilss.report.records import ReviewCounts, percent

if TYPE_CHECKING:
    from stores.run_list import RunLine


def print_table(title: str, columns: list[str], rows: list[list[str]], left: bool = False) -> None:
    """A table with a title, or one line where there are no rows; ``left``: of text rather than numbers."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(harmless(title)), title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if left or number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(escape(harmless(cell)) for cell in row))
    # a pipe has no width: leave room, so that rows stay on one line
    console = Console() if sys.stdout.isatty() else Console(width=120)
    console.print(table if rows else f"no {title} yet")


def show(text: object) -> None:
    """A line of text for people; see `wilss.escapes.harmless`."""
    print(harmless(str(text)))


def print_faults(faults: Sequence[Exception]) -> None:
    """What could not be listed, on standard error."""
    for fault in faults:
        print(f"wilss: {harmless(str(fault))}", file=sys.stderr)


def print_json(content: object) -> None:
    """Plain data as indented JSON."""
    print(json.dumps(content, indent=1, allow_nan=False))


def megabytes(size: int | None) -> str:
    """Bytes as megabytes, "-" where unknown."""
    return "-" if size is None else f"{size / 1e6:.1f}"


def print_report(report: dict[str, Any], root: Path) -> None:
    """The table of a run and where its report lies."""
    rows = []
    for entry in report["steps"]:
        means = entry["metrics"]
        rows.append([str(entry["step"]), str(entry["n_classes"]), *(percent(means[k]) for k in ("old", "new", "all"))])
    print_table(
        f"{report['benchmark']} {report['method']}, {report['scenario']}, seed {report['seed']}: mIoU %, convention C",
        ["step", "classes", "old", "new", "all"],
        rows,
    )
    for scoring, table in report["steps"][-1]["tables"].items():
        if scoring not in ("full", "crop") and scoring.endswith("full"):
            means = ", ".join(f"{key} {percent(value)}" for key, value in table["conventions"]["C"].items())
            show(f"after the last step, {scoring.removesuffix(' full')}: {means}")
    for entry in report["label_sets"]:
        stages = ", ".join(f"{name} {percent(value)}" for name, value in entry["iou"].items())
        show(f"label set {entry['digest'][:12]} of step {entry['step']}: IoU {stages}")
        if review := entry.get("review"):
            show(f"  reviewed: {ReviewCounts(**review).sentence}")
    print_health(report.get("health", ()))
    minutes, memory = report["total_seconds"] / 60, report["peak_rss_bytes"] / 2**30
    show(f"{minutes:.1f} minutes, peak memory {memory:.2f} GiB")
    show(f"report: {root / 'runs' / report['run'] / 'report.html'}")


def print_health(notes: Sequence[Mapping[str, Any]]) -> None:
    """What is wrong with a run, and what to do about it; the worst first."""
    for note in sorted(notes, key=lambda one: not one["serious"]):
        show(f"{'unhealthy' if note['serious'] else 'look'}: {note['says']}")
        show(f"  {note['todo']}")


def print_runs(title: str, scores: Sequence[str], runs: Sequence[RunLine]) -> None:
    """A list of runs, oldest first."""
    rows = [
        [one.run, one.written, *(one.scores[key] for key in scores), f"{one.seconds:.0f}", " ".join(one.differs)]
        for one in runs
    ]
    print_table(title, ["run", "written", *scores, "seconds", "differs in"], rows)


def print_comparison(content: dict[str, Any]) -> None:
    """The first table of a comparison and where its files lie."""
    for table in content["tables"]:
        if table["key"] in ("full-C", "steps"):
            rows = [[name, *cells] for name, cells in table["rows"]]
            print_table(f"{content['benchmark']}, {table['title']}", ["method", *table["columns"]], rows)
    show(f"tables, plot and pictures: {Path(content['folder']) / 'compare.html'}")


def say_begin(what: str, root: Path) -> None:
    """The first line of a long command, said before anything is loaded, which takes seconds."""
    from stores.progress import say

    say(f"{what}; results in '{root}'")


def say_next(root: Path) -> None:
    """Four commands to try after the demo."""
    tail = "" if root == Path("wilss-data") else f" --root {root}"
    wilss = "wilss" if shutil.which("wilss") else os.path.relpath(Path(sys.executable).with_name("wilss"))
    print("\ntry next:")
    show(f"  {wilss} labels list{tail}")
    show(f"  {wilss} inspect{tail}      # pages: look at the pseudo-labels, judge and correct them")
    show(f"  {wilss} demo --method finetune{tail}      # what forgetting looks like; reuses base student and labels")
    show(f"  {wilss} compare scenes-15-5 --seeds 0{tail}      # all methods side by side, trained longer")
