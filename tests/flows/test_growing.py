"""``--method fmwiss+`` from the command line: banks between steps, found, made again, and told by the report."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from stores.artefacts import Store
from tests.flows.test_from import OPTIONS, file_of
from wilss.report.records import RunReport

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("prefect_backend")]


def report_of(root: Path) -> RunReport:
    (file,) = root.glob("runs/mine-*/report.json")
    return RunReport.read(file)


def test_a_step_alone_finds_or_makes_the_bank_of_the_step_before(wilss: Any, tmp_path: Path) -> None:
    root, path = tmp_path / "root", file_of(tmp_path, 3)
    options = [path, "--method", "fmwiss+", *OPTIONS, "--set", "fmwiss.memory.min_quality=0", "--root", root]
    code, _, err = wilss("run", *options)
    assert code == 0, err
    known = report_of(root).artefacts
    assert {"memory bank", "memory bank 1"} <= known.keys()
    assert "memory bank 2" not in known, "no step pastes from it"
    bank, student = (
        Store(root).get(kind, known[name])
        for kind, name in (("banks", "memory bank 1"), ("checkpoints", "checkpoint 2"))
    )
    assert student.parents["bank"] == bank.digest
    for kind, name in (("banks", "memory bank 1"), ("checkpoints", "checkpoint 2")):
        shutil.rmtree(Store(root).path(kind, known[name]))  # type: ignore[arg-type]
    code, _, err = wilss("step", *options, "--step", 2)
    assert code == 0, err
    assert "memory bank after step 1:" in err
    assert report_of(root).artefacts == known
    code, _, err = wilss("step", *options, "--step", 2)
    assert code == 0, err
    assert "memory bank after step 1: found, made" in err
