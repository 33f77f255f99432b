"""``wilss predict`` given again: what is finished is skipped, what a stop left is gone on from."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.flows.conftest import photo
from wilss.models.model import Model

ROOT = Path(__file__).parents[2]


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / "predictions.csv").open(newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def stamps(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.rglob("*.png")}


def test_what_is_finished_is_skipped_and_said(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder, out = photo(tmp_path / "in" / "a.png").parent, tmp_path / "out"
    arguments = ("predict", checkpoint, folder, "-o", out)
    assert wilss(*arguments)[0] == 0
    before, first = stamps(out), table(out)
    photo(folder / "b.png", 1)
    code, printed, err = wilss(*arguments)
    assert (code, printed.split()) == (0, [str(out / "b.png")]), err
    assert "1 of 2 are finished" in err
    assert "--again" in err
    assert {name: stamps(out)[name] for name in before} == before
    assert table(out) == {**first, str(folder / "b.png"): table(out)[str(folder / "b.png")]}
    code, printed, err = wilss(*arguments)
    assert (code, printed) == (0, "")
    assert "share of 2 results" in err
    assert wilss(*arguments, "--again")[0] == 0
    assert all(stamps(out)[name] > before[name] for name in before)
    assert len(table(out)) == 2


def test_a_changed_picture_is_done_anew(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    image, out = photo(tmp_path / "a.png"), tmp_path / "out"
    assert wilss("predict", checkpoint, image, "-o", out)[0] == 0
    photo(image, 7, (50, 60))
    code, printed, err = wilss("predict", checkpoint, image, "-o", out)
    assert (code, printed.split()) == (0, [str(out / "a.png")]), err
    assert Image.open(out / "a.png").size == (60, 50)
    assert [(row["width"], row["height"]) for row in table(out).values()] == [("60", "50")]


def test_a_result_that_is_gone_is_made_and_one_that_somebody_painted_is_kept(  # type: ignore[no-untyped-def]
    wilss, checkpoint: Path, tmp_path: Path
) -> None:
    image, out = photo(tmp_path / "a.png"), tmp_path / "out"
    assert wilss("predict", checkpoint, image, "-o", out)[0] == 0
    (out / "a-overlay.png").unlink()
    assert wilss("predict", checkpoint, image, "-o", out)[0] == 0
    assert (out / "a-overlay.png").is_file()
    (out / "a.png").write_bytes(b"painted")
    assert wilss("predict", checkpoint, image, "-o", out)[0] == 0
    photo(image, 3)
    code, _, err = wilss("predict", checkpoint, image, "-o", out)
    assert (code, "a.png' is there already" in err) == (2, True), err
    assert (out / "a.png").read_bytes() == b"painted"
    assert wilss("predict", checkpoint, image, "-o", out, "--replace")[0] == 0
    assert (out / "a.png").read_bytes() != b"painted"


def test_other_options_and_models_replace_nothing_unless_told(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    image, out = photo(tmp_path / "a.png", size=(90, 100)), tmp_path / "out"
    other = Model.open(checkpoint, torch.device("cpu"))
    with torch.no_grad():
        other.network.classifiers[0].bias[1] = 9999.0  # type: ignore[operator, union-attr, index]
    other.save(tmp_path / "other")
    assert wilss("predict", checkpoint, image, "-o", out)[0] == 0
    before = (out / "a.png").read_bytes()
    for arguments in ((checkpoint, "--tta"), (checkpoint, "--window", 64), (tmp_path / "other",)):
        code, _, err = wilss("predict", arguments[0], image, *arguments[1:], "-o", out)
        assert (code, "add --replace" in err) == (2, True), err
        assert (out / "a.png").read_bytes() == before
    assert wilss("predict", tmp_path / "other", image, "-o", out, "--replace")[0] == 0
    assert np.unique(np.asarray(Image.open(out / "a.png"))).tolist() == [1]
    assert [float(row["a"]) for row in table(out).values()] == [100.0]


@pytest.mark.parametrize("where", [".", "results", "deeper"])
def test_results_beside_photographs_are_no_photographs(  # type: ignore[no-untyped-def]
    wilss, checkpoint: Path, tmp_path: Path, where: str
) -> None:
    folder = photo(tmp_path / "in" / "a.jpg").parent
    photo(folder / "b" / "b.jpg")
    out = folder / where
    assert wilss("predict", checkpoint, folder, "-o", out)[0] == 0
    for named in (folder, folder / "**"):
        code, printed, err = wilss("predict", checkpoint, named, "-o", out)
        assert (code, printed) == (0, ""), err
        assert "2 of 2 are finished" in err


def test_two_of_one_name_keep_the_names_that_they_have(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    first, second = photo(tmp_path / "x" / "a.png"), photo(tmp_path / "y" / "a.png", 1, (50, 20))
    out = tmp_path / "out"
    assert wilss("predict", checkpoint, first, "-o", out)[0] == 0
    code, printed, err = wilss("predict", checkpoint, second, "-o", out)
    assert (code, printed.split()) == (0, [str(out / "a-2.png")]), err
    assert "is called 'a-2.png'" in err
    assert wilss("predict", checkpoint, second, first, "-o", out, "--again")[1].split() == [
        str(out / "a-2.png"),
        str(out / "a.png"),
    ]
    assert Image.open(out / "a-2.png").size == (20, 50)


@pytest.mark.slow
def test_a_killed_process_is_gone_on_from(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder, out = tmp_path / "in", tmp_path / "out"
    for k in range(40):
        photo(folder / f"{k:02d}.png", k, (300, 300))
    command = [sys.executable, "-c", "from flows.cli import main; main()"]
    words = [*command, "predict", str(checkpoint), str(folder), "-o", str(out), "--format", "coco"]
    process = subprocess.Popen(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while len(list(out.glob("*-overlay.png"))) < 5 and time.monotonic() < end:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = sorted(out.glob("*-overlay.png"))
    assert 5 <= len(left) < 40
    for path in left:
        assert Image.open(path).convert("RGB").size == (300, 300), "no half file"
    known = table(out)
    assert 3 < len(known) < 40
    with (out / ".predictions.jsonl").open("a") as file:
        file.write('{"key": "cut o')
    code, printed, err = wilss("predict", checkpoint, folder, "-o", out, "--format", "coco")
    assert code == 0, err
    assert f"{len(known)} of 40 are finished" in err or f"{len(known) + 1} of 40 are finished" in err
    assert len(printed.split()) < 40
    assert len(table(out)) == 40
    content = json.loads((out / "predictions.json").read_text())
    assert len(content["images"]) == 40
    assert wilss("predict", checkpoint, folder, "-o", tmp_path / "whole", "--format", "coco")[0] == 0
    whole = json.loads((tmp_path / "whole" / "predictions.json").read_text())
    key = lambda one: (one["image_id"], one["category_id"])  # noqa: E731
    shown = [(key(a), a["segmentation"]) for a in sorted(content["annotations"], key=key)]
    assert shown == [(key(a), a["segmentation"]) for a in sorted(whole["annotations"], key=key)]
    assert not list(out.glob("*.partial"))


def test_tables_of_others_are_not_written_over(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    image, out = photo(tmp_path / "a.png"), tmp_path / "out"
    out.mkdir()
    (out / "predictions.csv").write_text("mine")
    code, _, err = wilss("predict", checkpoint, image, "-o", out)
    assert (code, "predictions.csv' is there already" in err) == (2, True)
    assert sorted(path.name for path in out.iterdir()) == ["predictions.csv"]
    assert (out / "predictions.csv").read_text() == "mine"


def test_what_cannot_be_written_is_said_and_the_same_command_goes_on(  # type: ignore[no-untyped-def]
    wilss, checkpoint: Path, tmp_path: Path
) -> None:
    folder, out = photo(tmp_path / "in" / "a.png").parent, tmp_path / "out"
    photo(folder / "b.png")
    (out / "b-overlay.png.partial").mkdir(parents=True)  # what is written there cannot be
    code, _, err = wilss("predict", checkpoint, folder, "-o", out)
    assert (code, "b-overlay.png" in err) == (2, True), err
    assert list(table(out)) == [str(folder / "a.png")]
    (out / "b-overlay.png.partial").rmdir()
    code, printed, err = wilss("predict", checkpoint, folder, "-o", out)
    assert (code, printed.split()) == (0, [str(out / "b.png")]), err
