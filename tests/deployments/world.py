"""A small root for tests of the inspector: label sets, models, runs and comparisons, made in a moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from deployments.access import Access
from deployments.inspector.access import TOKEN_HEADER
from deployments.inspector.app import create_app
from deployments.inspector.desk import Desk
from deployments.inspector.lineage import Lineage
from stores.artefacts import Manifest, Recipe, Store
from stores.labels.index import LabelIndex
from stores.labels.review import Change, Review, RowState
from stores.labels.writer import LabelWriter, ShardRows
from wilss.damage import seal_of
from wilss.measure.columns import COLUMNS
from wilss.report.fewshot_records import FewShotComparisonReport, FewShotReport, SplitScores
from wilss.report.records import (
    ComparisonReport,
    LabelEntry,
    Means,
    Record,
    RunEntry,
    RunReport,
    Scored,
    StepEntry,
    Table,
)

SIDE, ADDRESS = 16, "http://127.0.0.1:8460"
EVIL = '<script>alert("1")</script>'
ODD = f"a\nb'\"{EVIL}"
LONG = "x" * 4000
NOT_UNICODE = "photo-\udcff"
CLASSES = ("cat", EVIL)
IDS = ("plain", ODD, NOT_UNICODE, LONG)
MEANS = Means(old=0.5, new=0.25, all=0.4)


class NoPictures:
    """Says that there is no picture, and makes none."""

    async def path(self, _: object) -> Any:
        from deployments.inspector.pictures import Problem

        return Problem("the photographs are not where they were; name their folder with --data")

    async def close(self) -> None:
        """Nothing is open."""


def client(root: Path) -> TestClient:
    """A browser without JavaScript."""
    desk = Desk(root, Access(token="secret"), NoPictures(), "ada", Lineage(root))  # type: ignore[arg-type]
    return TestClient(create_app(desk), ADDRESS, raise_server_exceptions=False, headers={TOKEN_HEADER: "secret"})  # type: ignore[arg-type]


def label_set(
    root: Path, masks: np.ndarray, ids: tuple[str, ...] = IDS, parents: Mapping[str, Manifest] = {}, **facts: Any
) -> Manifest:
    """A label set whose every image has every class.

    Args:
        masks: bool ``(R, SIDE, SIDE)``, by image and class.
    """
    store, of = Store(root), LabelIndex(ids, CLASSES, np.ones((len(ids), 2), bool), SIDE, (4, 4), ("final",))
    recipe = Recipe("labels", facts, {role: parent.ref for role, parent in parents.items()})
    numbers = np.full((of.n_rows, len(COLUMNS)), np.nan, np.float32)
    numbers[:, COLUMNS.index("agreement")] = np.linspace(0.1, 0.9, of.n_rows)
    numbers[:, COLUMNS.index("area")] = masks.mean((1, 2))
    sizes = np.tile(np.array([SIDE, SIDE, 80, 80], np.uint32), (len(ids), 1))
    notes = {"format": 2, "benchmark": "voc-15-5", "step": 1, "spec": {"method": EVIL}, "class_ids": [1, 2]}
    with store.build(recipe) as folder:
        packed = np.packbits(masks.astype(np.uint8), axis=-1)
        LabelWriter.begin(folder, of).write(0, ShardRows({"final": packed}, None, numbers, sizes, sizes))
        return store.publish(recipe, folder, {"images": len(ids), "rows": of.n_rows}, notes)


def masks_of(rows: int, first: int = 1) -> np.ndarray:
    """Row k has its first ``first + k`` lines."""
    dense = np.zeros((rows, SIDE, SIDE), bool)
    for row in range(rows):
        dense[row, : first + row] = True
    return dense


def artefact(
    root: Path, kind: Any, files: Mapping[str, str], parents: Mapping[str, Manifest] = {}, **facts: Any
) -> Manifest:
    """An artefact of any kind."""
    store, recipe = Store(root), Recipe(kind, facts, {role: parent.ref for role, parent in parents.items()})
    with store.build(recipe) as folder:
        for name, content in files.items():
            (folder / name).write_text(content)
        return store.publish(recipe, folder, {"images": 3})


def bare(root: Path, kind: Any, number: int) -> None:
    """The manifest of an artefact of nothing, written without care."""
    recipe = Recipe(kind, {"number": number})
    facts = {"format": 2, "kind": kind, "digest": recipe.digest, "created": "2026-01-01T00:00:00+00:00"}
    content = {**facts, "recipe": recipe.facts, "parents": {}, "counts": {}, "notes": {}, "files": {}}
    path = root / kind / recipe.digest[:2] / recipe.digest / "manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**content, "seal": seal_of(content)}))


def student(root: Path, parents: Mapping[str, Manifest] = {}, **facts: Any) -> Manifest:
    """A student with a card and no weights to speak of."""
    card = {
        "format": 2,
        "kind": "student",
        "input": {"mean": [0.5] * 3, "std": [0.5] * 3, "canvas": SIDE, "arguments": {}},
        "benchmark": "voc-15-5",
        "classes": CLASSES,
        "class_ids": [1, 2],
        "history": [{"loss": 0.5, EVIL: 0.25}, {"loss": 0.25}],
        "architecture": {"backbone": "resnet18"},
        "step": 0,
        "step_sizes": [2],
    }
    return artefact(root, "checkpoints", {"card.json": json.dumps(card), "model.safetensors": "none"}, parents, **facts)


def write(root: Path, where: str, record: Record) -> Path:
    """Write a record and a page beside it."""
    path = root / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record.sealed().text())
    path.with_suffix(".html").write_text("<h2>t</h2>")
    return path


def run_report(name: str, artefacts: Mapping[str, str] = {}, label_sets: tuple[LabelEntry, ...] = ()) -> RunReport:
    """A run of two steps."""
    scored = Scored(conventions=dict.fromkeys("ABC", MEANS), groups=(0.5, None), per_class_iou={"cat": 0.5})
    ious = ({"background": 0.9, "cat": 0.5}, {"background": 0.8, "cat": 0.4, EVIL: None})
    steps = [
        StepEntry(step=t, n_classes=t + 1, metrics=MEANS, per_class_iou=ious[t], tables={"full": scored})
        for t in (0, 1)
    ]
    return RunReport(
        run=name,
        benchmark="voc-15-5",
        method=EVIL,
        scenario="overlap",
        seed=0,
        metrics=MEANS,
        per_class_iou=ious[1],
        steps=tuple(steps),
        label_sets=label_sets,
        total_seconds=2,
        stage_seconds={EVIL: 2.0},
        peak_rss_bytes=1,
        artefacts=dict(artefacts),
        command=f"wilss run {EVIL}",
        spec={"method": EVIL},
        versions={"torch": "2"},
    )


def make(root: Path) -> dict[str, str]:
    """Fill a root; returns digests by what they are."""
    base = student(root, stage="base")
    first = label_set(root, masks_of(8), made="first")
    after = student(root, {"previous": base, "labels": first}, stage="step")
    teacher = label_set(root, masks_of(8, 3), parents={"teacher": after, "parent": first}, stage="final")
    table = [[8, 1, 0], [1, 2, 0], [0, 1, 3]]
    content = {"classes": CLASSES, "tables": {"full": table}}
    scores = artefact(root, "evaluations", {"confusion.json": json.dumps(content)}, {"checkpoint": after})
    made = {"checkpoint 0": base, "checkpoint 1": after, "labels 1": first, "final labels 1": teacher}
    digests = {node: m.digest for node, m in {**made, "evaluation 1": scores}.items()}
    entry = LabelEntry(digest=first.digest, step=1, rows=8, images=4, iou={"final": 0.5})
    for name in ("mine", ODD):
        write(
            root,
            f"runs/{name}/report.json".replace("/a", "/a").replace("</script>", "<-script>"),
            run_report(name, digests, (entry,)),
        )
    split = SplitScores(per_class_iou={EVIL: 0.5}, mean_iou=0.5, fb_iou=0.6, standard_error=0.1, episodes=3)
    names = {"benchmark": "scenes-5i", "head": EVIL, "tuning": "frozen", "lists": "filtered", "rule": "image"}
    few = FewShotReport(
        run="few", fold=0, shots=1, seed=0, resolution="original", novel=split, base=split, peak_rss_bytes=1, **names
    )
    write(root, "fewshot/few/fewshot.json", few)
    drawn = Table(key="full-C", title=EVIL, columns=("old",), rows=((EVIL, ("50.0",)),))
    entries = (RunEntry(run="mine", name=EVIL, seed=0, seconds=1), RunEntry(run="gone", name="b", seed=0, seconds=1))
    both = ComparisonReport(
        folder="", benchmark="voc", scenario="overlap", methods=(EVIL,), seeds=(0,), tables=(drawn,), runs=entries
    )
    write(root, "comparisons/both/compare.json", both)
    models = FewShotComparisonReport(folder="", benchmark="scenes-5i", tables=(drawn,), runs=("few",))
    write(root, "comparisons/models/compare.json", models)
    say(root, first.digest, "plain", "cat", RowState("rejected", note=EVIL), "ada")
    say(root, first.digest, ODD, EVIL, RowState("accepted"), "eve <b>")
    return {**digests, "first": first.digest, "teacher": teacher.digest}


def say(root: Path, digest: str, image: str, name: str, state: RowState, who: str) -> None:
    """Somebody says something of a row."""
    review = Review.open(root, digest)
    review.act(who, "note", [Change(image, name, state, review.version(image, name))])
