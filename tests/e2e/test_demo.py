"""The demo at its real size reaches its bars, and fine-tuning on the same labels forgets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def run(root: Path, method: str, *command_line: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "flows.cli", *command_line, "--method", method, "--root", str(root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = (root / "runs").glob(f"*-{method}-*/report.json")
    report: dict[str, Any] = json.loads(path.read_text())
    return report


def test_demo_learns_without_forgetting_and_finetuning_forgets(tmp_path: Path) -> None:
    report = run(tmp_path, "fmwiss", "demo")
    base, last = (step["metrics"] for step in report["steps"])
    assert last["new"] >= 0.40
    assert last["old"] >= base["old"] - 0.10
    assert last["all"] >= 0.55
    assert report["peak_rss_bytes"] <= 4 * 2**30
    (entry,) = (e for e in report["label_sets"] if "refined" in e["iou"])
    assert entry["iou"]["refined"] >= entry["iou"]["initial"] + 0.08
    short = ("--set", "base.epochs=4", "step.epochs=1")  # the demo's base student; it forgets in no time
    forgetful = run(tmp_path, "finetune", "run", "scenes-15-5", *short)
    assert forgetful["steps"][0] == report["steps"][0]
    assert forgetful["metrics"]["old"] <= last["old"] - 0.20
