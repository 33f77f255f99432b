"""Run folders: ``<root>/runs/<run>/`` with the report of one specification."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stores.quarantine import place_in_quarantine
from wilss.digest import digest_of
from wilss.fewshot.grid import FewShotGrid
from wilss.fewshot.spec import FewShotSpec
from wilss.grid import Comparison
from wilss.outputs import whole_file
from wilss.settings import Settings
from wilss.spec import RunSpec


def run_folder(settings: Settings, spec: RunSpec) -> Path:
    """The folder of a specification; over the same data folder the same specification always has the same."""
    name = f"{spec.benchmark}-{spec.scenario}-{spec.method}-s{spec.seed}"
    return settings.root / "runs" / f"{name}-{_ending(spec.facts(), settings)}"


def comparison_folder(settings: Settings, grid: Comparison, label_sets: Mapping[str, Any] | None = None) -> Path:
    """The folder of a comparison; see `run_folder`.

    Args:
        label_sets: of cells that asked for reviewed ones, by name and seed: which they were; and which student all of
            them started from, where an alias named it.
    """
    run = grid.spec_of(grid.methods[0], grid.seeds[0])
    facts = {**grid.facts(), **({"label_sets": dict(label_sets)} if label_sets else {})}
    return settings.root / "comparisons" / f"{run.benchmark}-{run.scenario}-{_ending(facts, settings)}"


def fewshot_folder(settings: Settings, spec: FewShotSpec) -> Path:
    """The folder of a few-shot specification; see `run_folder`."""
    name = f"{spec.benchmark}-f{spec.fold}-{spec.head}-{spec.train.tuning}-k{spec.shots}-s{spec.seed}"
    return settings.root / "fewshot" / f"{name}-{_ending(spec.facts(), settings)}"


def fewshot_comparison_folder(settings: Settings, grid: FewShotGrid) -> Path:
    """The folder of a few-shot comparison; see `run_folder`."""
    benchmark = next(grid.cells()).spec.benchmark
    return settings.root / "comparisons" / f"{benchmark}-few-shot-{_ending(grid.facts(), settings)}"


def _ending(facts: dict[str, Any], settings: Settings) -> str:
    """Tells runs of one name apart."""
    return digest_of({**facts, "sources": settings.sources} if settings.sources else facts)[:8]


def write_run(folder: Path, files: dict[str, str], root: Path | None = None) -> None:
    """Write the files of a run; each appears whole or not at all, in the given order.

    Args:
        root: of the store that the folder belongs to; a folder in the place of a file goes to its quarantine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if root and (folder / name).is_dir():
            (folder / name).replace(place_in_quarantine(root, "reports", f"{folder.name}-{name}"))
        with whole_file(folder / name, shared=True) as partial:
            partial.write_text(content, encoding="utf-8")
