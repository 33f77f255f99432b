"""Damaging stored files, with and without their manifest's knowledge, and a run without a Prefect server."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stores.artefacts import ArtefactRef
from stores.labels.mend import is_damaged
from stores.plans.plan import Node
from stores.plans.run import Run
from stores.plans.session import Session
from stores.reports import standing_report
from tasks.evaluate import evaluation
from tasks.labels import begin_labels, label_set, label_shard, mended_labels
from tasks.report import write_report
from tasks.train import base_student, memory_bank, step_student
from wilss.damage import mark_all, seal_of
from wilss.settings import Settings
from wilss.spec import make_spec

TINY: dict[str, Any] = {"benchmark": "scenes-15-5", "preset": "tiny"}


def restamp(folder: Path) -> None:
    """Have the manifest of an artefact list its files as they are, as somebody could who wants to be believed."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    content["files"] = {name: mark.model_dump() for name, mark in mark_all(folder).items()}
    path.write_text(json.dumps({**content, "seal": seal_of(content)}))


def flip(path: Path, seed: int = 0) -> None:
    content, draw = bytearray(path.read_bytes()), random.Random(seed)
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(bytes(content))


def change_json(path: Path, change: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def reversed_lists(content: Any) -> Any:
    """Ids, classes and the like in another order."""
    if isinstance(content, dict):
        return {key: reversed_lists(value) for key, value in content.items()}
    return [reversed_lists(value) for value in content[::-1]] if isinstance(content, list) else content


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def sibling(path: Path) -> None:
    """The same file of another artefact of its kind takes its place, else that of another kind, else nothing does."""
    own = next((folder for folder in path.parents if (folder / "manifest.json").exists()), path.parent)
    name, root = path.relative_to(own), own.parents[2] if own.parent.name == own.name[:2] else own.parents[1]
    others = [p for p in [*own.parents[1].glob(f"*/*/{name}"), *root.glob("*/*/*/manifest.json")] if p != path]
    other = next((p for p in others if p.read_bytes() != path.read_bytes()), None)
    shutil.copy(other or others[-1], path)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "flipped": flip,
    "flipped elsewhere": lambda path: flip(path, 1),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "of another type": lambda path: path.write_text("[3]"),
    "a folder": as_folder,
    "of a sibling": sibling,
}
JSON_DAMAGE: dict[str, Callable[[Path], object]] = {
    "of another version": lambda path: change_json(path, lambda content: {**content, "format": 99}),
    "in another order": lambda path: change_json(path, reversed_lists),
}


def run_without_server(root: Path, said: list[str] | None = None, **settings: Any) -> dict[str, Any]:
    """What `flows.benchmark.run_benchmark` does with its tasks' functions; the content of the report."""
    session = Session(Settings(root=root, **settings), (said if said is not None else []).append)
    run = Run(make_spec(TINY), session)
    return session.mending([run.plan], lambda: _build(run)).model_dump(mode="json")


def _build(run: Run) -> Any:
    def stage(name: str, make: Callable[[], ArtefactRef]) -> ArtefactRef:
        return run.session.found(run.plan[name]) or make()

    students = [stage("checkpoint 0", lambda: base_student.fn(run))]
    bank = stage("memory bank", lambda: memory_bank.fn(run))
    scores = [stage("evaluation 0", lambda: evaluation.fn(run, 0, students[0]))]
    labels = stage("labels 1", lambda: _label(run))
    students.append(stage("checkpoint 1", lambda: step_student.fn(run, 1, students[0], labels, bank)))
    scores.append(stage("evaluation 1", lambda: evaluation.fn(run, 1, students[1])))
    return standing_report(run, 1) or write_report.fn(run, scores, [labels], {})


def _label(run: Run) -> ArtefactRef:
    if is_damaged(run, 1):
        return mended_labels.fn(run, 1)
    begun = begin_labels.fn(run, 1)
    return label_set.fn(run, 1, [label_shard.fn(run, 1, begun, shard) for shard in range(begun.counts["shards"])])


def nodes(root: Path) -> Iterator[Node]:
    """The nodes of the run."""
    yield from Run(make_spec(TINY), Session(Settings(root=root))).plan.values()


def results(report: dict[str, Any]) -> dict[str, Any]:
    """What must not change: scores and label sets."""
    return {key: report[key] for key in ("metrics", "steps", "label_sets", "artefacts")}
