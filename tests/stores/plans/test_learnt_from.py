"""A folder that grows: photographs of a new step leave earlier steps alone, whatever older tags they carry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stores.plans.run import Run
from stores.plans.session import Session
from wilss.data.learnt_from import note_lists
from wilss.errors import FormatError
from wilss.report.data import check_data
from wilss.settings import Settings
from wilss.spec import make_spec

TWO, THREE = [["cat"], ["dog"]], [["cat"], ["dog"], ["owl"]]
NODES = ("checkpoint 0", "labels 1", "checkpoint 1")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Two cats with masks, two dogs."""
    folder = tmp_path / "pets"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    (folder / "labels.csv").write_text("image,labels\n")
    for name, tags in (("a", "cat"), ("b", "cat"), ("c", "dog"), ("d", "dog")):
        add(folder, name, tags, mask=tags == "cat")
    return folder


def add(folder: Path, name: str, tags: str, mask: bool = False) -> None:
    Image.fromarray(np.full((20, 30, 3), ord(name), np.uint8)).save(folder / "images" / f"{name}.png")
    if mask:
        Image.fromarray(np.eye(20, 30, dtype=np.uint8)).save(folder / "masks" / f"{name}.png")
    with (folder / "labels.csv").open("a") as table:
        table.write(f"{name}.png,{tags}\n")


def opened(root: Path, pets: Path, steps: list[list[str]], **changes: Any) -> tuple[Run, list[str]]:
    said: list[str] = []
    custom = {"name": "pets", "data": "folder", "steps": steps}
    spec = make_spec({"benchmark": "pets", "custom": custom, "preset": "tiny", **changes})
    run = Run(spec, Session(Settings(root=root, data=pets, device="cpu"), said.append))
    return run, [line for line in said if "stays" in line]


def digests(run: Run) -> dict[str, str]:
    return {name: run.plan[name].recipe.digest for name in NODES}


def learn(run: Run) -> dict[str, str]:
    """What a finished run notes."""
    assert run.notes is not None
    note_lists(run.notes, run.lists, range(run.last_step + 1))
    return digests(run)


def test_photographs_of_a_new_step_leave_the_earlier_ones_alone(tmp_path: Path, pets: Path) -> None:
    before = learn(opened(tmp_path, pets, TWO)[0])
    add(pets, "e", "owl;dog")
    add(pets, "f", "owl;cat", mask=True)
    run, said = opened(tmp_path, pets, THREE)
    assert digests(run) == before
    assert [run.lists.ids(step) for step in range(3)] == [("a", "b"), ("c", "d"), ("e", "f")]
    assert [line.partition(" stays")[0] for line in said] == ["'step 0'", "'step 1'"]
    assert "images that came since with a later step: 1, first 'e'; to learn from them too, delete '" in said[1]
    report = check_data(pets, run.spec, tmp_path / "sheet.png", run.settings)
    assert [f["where"] for f in report["findings"] if f["kind"] == "came-later"] == ["step 0", "step 1"]
    learn(run)
    assert digests(opened(tmp_path, pets, THREE)[0]) == before, "the note of the first run stays"
    other = opened(tmp_path / "other", pets, THREE)[0]
    assert digests(other) != before
    assert other.lists.ids(1) == ("c", "d", "e")


def test_the_note_that_is_named_may_be_deleted(tmp_path: Path, pets: Path) -> None:
    before = learn(opened(tmp_path, pets, TWO)[0])
    add(pets, "e", "owl;dog")
    _, (said,) = opened(tmp_path, pets, THREE)
    Path(said.split("delete '")[1].rstrip("'")).unlink()
    run, said_now = opened(tmp_path, pets, THREE)
    assert (run.lists.ids(1), said_now) == (("c", "d", "e"), [])
    assert digests(run)["checkpoint 0"] == before["checkpoint 0"]
    assert digests(run)["labels 1"] != before["labels 1"]


def test_a_photograph_of_a_step_itself_is_new_to_it(tmp_path: Path, pets: Path) -> None:
    before = learn(opened(tmp_path, pets, TWO)[0])
    add(pets, "e", "dog")
    for steps in (TWO, THREE):
        run, said = opened(tmp_path, pets, steps)
        assert (run.lists.ids(1), said) == (("c", "d", "e"), [])
        assert digests(run)["checkpoint 1"] != before["checkpoint 1"]


def test_methods_share_the_photographs_of_a_step_and_scenarios_do_not(tmp_path: Path, pets: Path) -> None:
    learn(opened(tmp_path, pets, TWO)[0])
    add(pets, "e", "owl;dog")
    assert opened(tmp_path, pets, THREE, method="wilson")[0].lists.ids(1) == ("c", "d")
    assert opened(tmp_path, pets, [["cat"], ["dog", "owl"]])[0].lists.ids(1) == ("c", "d", "e"), "another step"
    assert opened(tmp_path, pets, THREE, method="joint")[0].lists.ids(0) == ("a", "b")


def test_a_note_that_cannot_be_read_is_named(tmp_path: Path, pets: Path) -> None:
    run = opened(tmp_path, pets, TWO)[0]
    learn(run)
    assert run.notes is not None
    for path in run.notes.iterdir():
        path.write_text('{"format": 1, "steps": 0, "ids": []}')
    with pytest.raises(FormatError, match="delete it, and its step takes every photograph that is there"):
        opened(tmp_path, pets, THREE)
