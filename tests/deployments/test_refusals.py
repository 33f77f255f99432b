"""A mistyped name is told at once: neither Prefect nor torch, which take seconds, is loaded before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from deployments.command import call
sys.argv = ["wilss", *sys.argv[1:]]
try:
    call()
except SystemExit as end:
    print(end.code, {"torch", "prefect", "timm"} & set(sys.modules))
"""


@pytest.mark.parametrize(
    "words",
    [
        "trigger step --benchmark scenes-15-6 --step 1",
        "schedule add benchmark --benchmark scenes-15-6 --every 6h",
        "deploy scenes-15-6",
        "run scenes-15-6",
        "step scenes-15-6 --step 1",
        "compare scenes-15-6",
        "few-shot train --benchmark scenes-5j --fold 0",
        "trigger benchmark --benchmark scenes-15-5 --sed 1",
        "trigger stepp",
        "schedule add step --benchmark scenes-15-5 --step 1 --every 6x",
        "approve",
        "logs --root ROOT",
    ],
)
def test_a_mistake_is_refused_before_anything_is_loaded(words: str, tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    env["PREFECT_API_URL"] = "http://127.0.0.1:9/api"
    command = [sys.executable, "-c", CODE, *words.replace("ROOT", str(tmp_path)).split()]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "2 set()", done.stdout + done.stderr
    assert "Traceback" not in done.stderr
