"""A fresh environment resolves to versions that fit each other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_fresh_environment_resolves(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    subprocess.run([*command, "--report", str(report), str(ROOT)], check=True, timeout=800)
    chosen = {item["metadata"]["name"].lower(): item["metadata"] for item in json.loads(report.read_text())["install"]}
    assert Version("3.8.8") <= Version(chosen["prefect"]["version"]) < Version("4")
    assert Version(chosen["fastapi"]["version"]) < Version("0.151")
    torch_wanted = next(r for r in chosen["torchvision"]["requires_dist"] if r.startswith("torch=="))
    assert chosen["torch"]["version"].split("+")[0] == torch_wanted.removeprefix("torch==")
