"""What a model's name may be, and what is told when it is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stores.artefacts import Kind, Recipe, Store
from wilss.errors import ArtefactNotFoundError, FormatError
from wilss.models.lookup import model_folder
from wilss.report.records import Means, RunReport


def publish(root: Path, kind: Kind, number: int) -> str:
    store, recipe = Store(root), Recipe(kind, {"number": number})
    with store.build(recipe) as folder:
        store.publish(recipe, folder, {})
    return recipe.digest


def write_report(root: Path, artefacts: dict[str, str], name: str = "a-run") -> Path:
    folder = root / "runs" / name
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"run": "a-run", "benchmark": "scenes-15-5", "method": "fmwiss", "scenario": "overlap", "seed": 0}
    means = Means(old=0.5, new=0.5, all=0.5)
    report = RunReport(format=RunReport.FORMAT, **facts, metrics=means, steps=(), total_seconds=1, peak_rss_bytes=1)  # type: ignore[arg-type]
    (folder / "report.json").write_text(report.model_copy(update={"artefacts": artefacts}).model_dump_json())
    return folder


def test_a_folder_a_run_and_a_digest_are_found(tmp_path: Path) -> None:
    digests = [publish(tmp_path, "checkpoints", number) for number in range(11)]
    folders = [Store(tmp_path).path("checkpoints", digest) for digest in digests]
    assert model_folder(folders[3], tmp_path / "elsewhere") == folders[3]
    assert model_folder(digests[3], tmp_path) == model_folder(digests[3][:10], tmp_path) == folders[3]
    artefacts = {f"checkpoint {step}": digest for step, digest in enumerate(digests)}
    run = write_report(tmp_path, {**artefacts, "evaluation 20": "ab", "checkpoint x": "ab"})
    assert model_folder(run, tmp_path / "elsewhere") == folders[10], "the last step, as a number"


def test_what_is_no_student_is_told(tmp_path: Path) -> None:
    labels, student = publish(tmp_path, "labels", 0), publish(tmp_path, "checkpoints", 1)
    for name, message in (
        (labels, f"'{labels}' is one of the labels in .*, no student; name one of checkpoints"),
        ("0123abc", f"'0123abc' does not exist among the checkpoints .*; there: {student[:12]}"),
        ("no/where", "there is no folder 'no/where'; name a student's folder, a run's, an alias or a digest"),
        (write_report(tmp_path, {"labels 1": labels}, "a"), "the report of .* names no student"),
        (write_report(tmp_path, {"checkpoint 1": "../../x"}, "b"), "'../../x' does not exist among the checkpoints"),
    ):
        with pytest.raises(ArtefactNotFoundError, match=message):
            model_folder(name, tmp_path)
    (tmp_path / "runs" / "a" / "report.json").write_text(json.dumps({"run": 3}))
    with pytest.raises(FormatError, match=r"report\.json' is damaged"):
        model_folder(tmp_path / "runs" / "a", tmp_path)
