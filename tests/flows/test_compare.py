"""The comparison flow on a tiny world: shared artefacts, one table, and its files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from stores.artefacts import Store
from wilss.errors import SpecError
from wilss.grid import make_grid
from wilss.settings import Settings

METHODS = ("finetune", "wilson", "fmwiss", "joint", "fmwiss-no-seeds", "fmwiss-no-paste")
RUN: dict[str, Any] = {"benchmark": "scenes-10-5-5", "preset": "tiny", "data": {"eval_crop": 48}}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, prefect_backend: None) -> tuple[Path, dict[str, Any]]:
    from flows.compare import run_comparison

    root = tmp_path_factory.mktemp("compared")
    return root, run_comparison(make_grid(RUN, METHODS, (0,)), Settings(root=root))


@pytest.mark.slow
def test_every_method_shares_base_student_bank_and_label_sets(compared: tuple[Path, dict[str, Any]]) -> None:
    root, content = compared
    reports = {run["name"]: report(root, run["run"]) for run in content["runs"]}
    first = {name: r["artefacts"]["checkpoint 0"] for name, r in reports.items() if name != "joint"}
    assert len(set(first.values())) == 1
    assert len({r["artefacts"]["labels 1"] for name, r in reports.items() if "labels 1" in r["artefacts"]}) == 2
    assert "labels 1" not in reports["wilson"]["artefacts"]  # it makes its own masks
    assert "final labels 1" in reports["wilson"]["artefacts"]
    assert [name for name, r in reports.items() if "memory bank" in r["artefacts"]] == [
        name for name in METHODS if name.startswith("fmwiss") and name != "fmwiss-no-paste"
    ]
    assert len(Store(root).all("banks")) == 1
    assert len(Store(root).all("checkpoints")) == 1 + 1 + 2 * (len(METHODS) - 1)  # base, joint, two steps each
    assert len(reports["joint"]["steps"]) == 1
    assert reports["joint"]["steps"][0]["n_classes"] == 20
    assert reports["joint"]["steps"][0]["forgetting"] is None


def report(root: Path, run: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((root / "runs" / run / "report.json").read_text())
    return content


@pytest.mark.slow
def test_the_table_holds_the_numbers_of_the_runs(compared: tuple[Path, dict[str, Any]]) -> None:
    root, content = compared
    tables = {table["key"]: table for table in content["tables"]}
    assert list(tables) == ["full-C", "full-A", "full-B", "crop-C", "crop-A", "crop-B", "steps", "groups"]
    for name, cells in tables["full-C"]["rows"]:
        run = next(r["run"] for r in content["runs"] if r["name"] == name)
        last = report(root, run)["steps"][-1]
        assert list(cells)[:3] == [f"{100 * last['metrics'][key]:.1f}" for key in ("old", "new", "all")]
    folder = Path(content["folder"])
    assert {path.name for path in folder.iterdir()} == {
        "compare.json", "compare.html", "table.md", "runs.csv", "classes.csv", "plot.svg",
    }  # fmt: skip
    rows = list(csv.DictReader((folder / "runs.csv").open()))
    assert {row["method"] for row in rows} == set(METHODS)
    assert {row["convention"] for row in rows} == {"A", "B", "C"}
    assert len(rows) == 6 * (3 * (len(METHODS) - 1) + 1)  # joint has one step
    text = (folder / "table.md").read_text()
    assert "Convention A, 48 px centre crops" in text
    assert (folder / "compare.html").read_text().count("<img ") == 8 * (2 + len(METHODS))
    assert len(list(csv.DictReader((folder / "classes.csv").open()))) == 21 * len(METHODS)


def test_mistakes_in_a_grid_are_told() -> None:
    with pytest.raises(SpecError, match=r"unknown method 'fmwis'. Did you mean 'fmwiss'"):
        make_grid(RUN, ("fmwis",))
    with pytest.raises(SpecError, match="seed '1' is given twice"):
        make_grid(RUN, ("fmwiss",), (1, 0, 1))
    with pytest.raises(SpecError, match="unknown benchmark 'scenes-1'"):
        make_grid({"benchmark": "scenes-1"})
    with pytest.raises(SpecError, match="'seed' belongs to the grid"):
        make_grid({**RUN, "seed": 3})
