"""The answer of a check is remembered, and forgotten with whatever it was about."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from wilss.data.checked import FOLDER, Checked


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    now = time.time_ns
    monkeypatch.setattr("time.time_ns", lambda: now() + 10**12)
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.png").write_bytes(b"one")
    (folder / "labels.csv").write_text("a,dog")
    (tmp_path / "sheet.png").write_bytes(b"sheet")
    return folder


def asked(data: Path, **facts: object) -> Checked:
    return Checked(data.parent / "root", {"run": None, **facts}, (data, None))


def kept(data: Path) -> None:
    asked(data).keep({"images": 1}, [str(data.parent / "sheet.png")])
    assert asked(data).recall() == {"images": 1}


CHANGES: dict[str, Callable[[Path], object]] = {
    "other bytes of equal size": lambda data: (data / "images" / "a.png").write_bytes(b"two"),
    "one more": lambda data: (data / "images" / "b.png").write_bytes(b"one"),
    "one less": lambda data: (data / "images" / "a.png").unlink(),
    "another name": lambda data: (data / "images" / "a.png").rename(data / "images" / "c.png"),
    "an empty folder": lambda data: (data / "masks").mkdir(),
    "the table": lambda data: (data / "labels.csv").write_text("a,cat"),
    "its sheet is gone": lambda data: (data.parent / "sheet.png").unlink(),
    "its answer is damaged": lambda data: next((data.parent / "root" / FOLDER).iterdir()).write_text('{"state": '),
    "its answer is another's": lambda data: next((data.parent / "root" / FOLDER).iterdir()).write_text("[1]"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_is_looked_over_again(data: Path, change: str) -> None:
    kept(data)
    CHANGES[change](data)
    assert asked(data).recall() is None


def test_another_question_has_another_answer(data: Path) -> None:
    kept(data)
    assert asked(data, run={"benchmark": "mine"}).recall() is None
    assert asked(data).recall() == {"images": 1}


def test_what_links_point_to_counts(data: Path) -> None:
    real = data.parent / "real.png"
    real.write_bytes(b"one")
    (data / "images" / "link.png").symlink_to(real)
    (data / "images" / "loop").symlink_to(data)
    (data / "images" / "gone.png").symlink_to(data / "nothing")
    kept(data)
    real.write_bytes(b"two")
    assert asked(data).recall() is None


def test_what_was_just_written_is_not_remembered(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    os.utime(data / "labels.csv")
    asked(data).keep({"images": 1}, [])
    assert asked(data).recall() is None


def test_a_root_that_takes_nothing_is_no_fault(data: Path) -> None:
    (data.parent / "root").write_text("a file")
    asked(data).keep({"images": 1}, [])
    assert asked(data).recall() is None
