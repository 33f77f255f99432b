"""The list of runs tells them apart."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stores.reports import with_earlier_seconds
from stores.run_list import list_runs
from wilss.errors import FormatError
from wilss.report.fewshot_records import FewShotReport, SplitScores
from wilss.report.records import Means, RunReport
from wilss.spec import make_spec


def write_run(root: Path, name: str, written: int, seconds: dict[str, float], **settings: Any) -> None:
    spec = make_spec({"benchmark": "scenes-15-5", "preset": "tiny", **settings})
    means = Means(old=0.25, new=None, all=0.5)
    report = RunReport(
        **{
            "run": name,
            "benchmark": spec.benchmark,
            "method": spec.method,
            "scenario": spec.scenario,
            "seed": spec.seed,
        },
        **{"metrics": means, "steps": (), "total_seconds": 0.0, "peak_rss_bytes": 1},
        stage_seconds=seconds,
        spec=spec.shown(),
    )
    path = root / "runs" / name / "report.json"
    path.parent.mkdir(parents=True)
    path.write_text(report.text())
    os.utime(path, (written, written))


def write_fewshot(root: Path, name: str, **spec: Any) -> None:
    scores = SplitScores(per_class_iou={}, mean_iou=0.5, fb_iou=0.5, standard_error=0.1, episodes=2)
    report = FewShotReport(
        **{"run": name, "benchmark": "scenes-5i", "fold": 0, "head": "aspp", "tuning": "frozen", "shots": 1, "seed": 0},
        **{"lists": "filtered", "rule": "x", "resolution": "canvas", "novel": scores, "base": scores},
        peak_rss_bytes=1,
        spec=spec,
    )
    path = root / "fewshot" / name / "fewshot.json"
    path.parent.mkdir(parents=True)
    path.write_text(report.text())


def test_runs_of_one_name_are_told_apart_by_date_and_settings(tmp_path: Path) -> None:
    write_run(tmp_path, "b", 2_000_000_000, {"base": 60.0, "step": 3.5}, step={"epochs": 7})
    write_run(tmp_path, "a", 1_000_000_000, {}, step={"epochs": 8}, base={"epochs": 9})
    write_run(tmp_path, "c", 2_000_000_001, {}, step={"epochs": 8})
    runs, fewshot, problems = list_runs(tmp_path)
    assert (fewshot, problems) == ([], [])
    assert [one.run for one in runs] == ["a", "b", "c"]
    assert runs[0].written.startswith("2001-09-0")
    assert [one.seconds for one in runs] == [0.0, 63.5, 0.0]
    assert runs[1].scores == {"old": "25.0", "new": "–", "all": "50.0"}
    own = make_spec({"benchmark": "scenes-15-5", "preset": "tiny"}).base.epochs
    differs = [set(one.differs) for one in runs]
    assert differs == [
        {"step.epochs=8", "base.epochs=9"},
        {"step.epochs=7", f"base.epochs={own}"},
        {"step.epochs=8", f"base.epochs={own}"},
    ]


def test_few_shot_runs_are_listed_and_damaged_ones_hide_no_others(tmp_path: Path) -> None:
    write_fewshot(tmp_path, "one", train={"epochs": 3})
    write_fewshot(tmp_path, "two", train={"epochs": 4})
    (tmp_path / "fewshot" / "bad").mkdir()
    (tmp_path / "fewshot" / "bad" / "fewshot.json").write_text("{")
    runs, fewshot, problems = list_runs(tmp_path)
    assert runs == []
    assert {one.run: one.differs for one in fewshot} == {"one": ("train.epochs=3",), "two": ("train.epochs=4",)}
    assert fewshot[0].scores == {"novel": "50.0", "base": "50.0"}
    (problem,) = problems
    assert "bad/fewshot.json' is damaged" in str(problem)


def test_the_command_lists_the_others_and_names_the_damaged(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_run(tmp_path, "a\x1b[2J", 1_000_000_000, {})
    write_fewshot(tmp_path, "few")
    (tmp_path / "runs" / "bad").mkdir()
    (tmp_path / "runs" / "bad" / "report.json").write_text("[]")
    code, out, err = wilss("runs", "--root", tmp_path)
    assert code == 0
    assert "bad/report.json' is damaged" in err
    assert r"a\x1b[2J" in out
    assert "few" in out
    assert "\x1b" not in out


def test_a_found_stage_keeps_the_seconds_it_took(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "a" / "report.json"
    assert with_earlier_seconds(RunReport, path, {"step": 1.0}) == {"step": 1.0}
    write_run(tmp_path, "a", 1, {"base": 60.0, "step": 3.0})
    assert with_earlier_seconds(RunReport, path, {"step": 1.0}) == {"base": 60.0, "step": 1.0}
    assert with_earlier_seconds(RunReport, path, {}) == {"base": 60.0, "step": 3.0}
    path.write_text("{")
    with pytest.raises(FormatError):
        RunReport.read(path)
    assert with_earlier_seconds(RunReport, path, {"step": 1.0}) == {"step": 1.0}
