"""Records of few-shot models: what older versions wrote is still read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wilss.errors import FormatError
from wilss.report.fewshot_records import FewShotComparisonReport, FewShotReport

SCORES = {"per_class_iou": {"mug": 0.5, "star": None}, "mean_iou": 0.5, "fb_iou": 0.6}
MODEL: dict[str, Any] = {
    **{"benchmark": "scenes-5i", "fold": 3, "head": "bam", "tuning": "svf", "shots": 2, "seed": 0},
    **{"lists": "filtered", "rule": "image", "resolution": "original"},
    "novel": {**SCORES, "standard_error": 0.01, "episodes": 12},
    "base": {**SCORES, "standard_error": 0.01, "episodes": 12},
    "stage_seconds": {"head": 3.0},
    "peak_rss_bytes": 1000,
    "versions": {"wilss": "0.1.0"},
    "device": "cpu",
    "artefacts": {"head": "ab", "episodes": "cd"},
    "sources": {},
    "spec": {"fold": 3},
    "run": "scenes-5i-f3",
}
"""As the first version wrote it."""
TABLE = {"key": "folds", "title": "IoU", "columns": ["fold 3"], "rows": [["bam, 2 shots", ["50.0"]]]}
COMPARISON = {"folder": "x", "benchmark": "scenes-5i", "device": "cpu", "tables": [TABLE], "runs": ["scenes-5i-f3"]}


def test_files_of_the_first_version_are_read(tmp_path: Path) -> None:
    (tmp_path / "fewshot.json").write_text(json.dumps(MODEL))
    model = FewShotReport.read(tmp_path / "fewshot.json")
    assert (model.format, model.command) == (1, "")
    assert {**json.loads(model.text()), **MODEL} == json.loads(model.text()), "nothing of it is lost"
    (tmp_path / "compare.json").write_text(json.dumps(COMPARISON))
    comparison = FewShotComparisonReport.read(tmp_path / "compare.json")
    assert {**json.loads(comparison.text()), **COMPARISON} == json.loads(comparison.text())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 99}, "has format 99; this version reads up to"),
        ({"novel": 3}, "is damaged"),
        ({"fold": "x"}, "fold"),
    ],
)
def test_newer_and_damaged_ones_are_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    (tmp_path / "fewshot.json").write_text(json.dumps({**MODEL, **changes}))
    with pytest.raises(FormatError, match=words):
        FewShotReport.read(tmp_path / "fewshot.json")
