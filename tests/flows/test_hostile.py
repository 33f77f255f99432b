"""The command line over files from others: exit code 2, one sentence, no traceback, and nothing is run."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.hostile import Touch
from tests.wilss.models.cards import INPUT, SPEC, student_card
from wilss.models.files import save_model
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    model = build_segmenter(SPEC, find_weights("resnet_scenes", "none", None), (2,))
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    save_model(model.state_dict(), student_card(), folder)
    Image.new("L", (33, 21)).save(tmp_path / "grey.png")
    return folder


def changed(folder: Path, **values: Any) -> None:
    content = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**content, **values}))


def sentence(err: str) -> None:
    assert err.startswith("wilss: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_predicting_with_an_evil_checkpoint_in_a_process_of_its_own(checkpoint: Path, tmp_path: Path) -> None:
    marker, evil = tmp_path / "marker", tmp_path / "evil.pt"
    evil.write_bytes(pickle.dumps(Touch(marker)))
    changed(checkpoint, input={**INPUT, "arguments": {"checkpoint_path": str(evil)}})
    command = [sys.executable, "-m", "flows.cli", "predict", checkpoint, tmp_path / "grey.png", "-o", tmp_path / "out"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "WILSS_ROOT": str(tmp_path / "root")}
    )
    assert done.returncode == 2, done.stderr
    sentence(done.stderr)
    assert "is no argument that a file may give" in done.stderr
    assert not marker.exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "values",
    [
        {"input": {**INPUT, "arguments": {"pretrained_cfg": "x"}}},
        {"step_sizes": [1] * 100_000},
        {"input": {**INPUT, "canvas": 10**12}},
        {"architecture": {"backbone": "hf-hub:evil/model"}},
        {"architecture": {"backbone": "vit_7b_patch16_dinov3", "output_stride": 16}},
        {"classes": ["a"]},
        {"input": {**INPUT, "mean": [[[0.5]]]}},
    ],
)
def test_predict_and_start_refuse_such_a_checkpoint(wilss, checkpoint: Path, tmp_path: Path, values: Any) -> None:  # type: ignore[no-untyped-def]
    changed(checkpoint, **values)
    code, _, err = wilss("predict", checkpoint, tmp_path / "grey.png", "-o", tmp_path / "out")
    assert code == 2
    sentence(err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [x]\nb: *a\n", "anchor or an alias"),
        ("[" * 20_000, "nested deeper"),
        ("!!int x", "the tag"),
        ("2001-99-99", "month must be"),
        ("name: pets\ndata: folder\nsteps: [[cat], [dog]]\nstudent: {backbone: 'hf-hub:evil/model'}\n", "unknown key"),
        ("name: ../../pets\ndata: folder\nsteps: [[cat], [dog]]\n", "must be up to 60 letters"),
        ("name: pets\ndata: [folder]\nsteps: [[cat], [dog]]\n", "data"),
        ("name: pets\ndata: folder\nsteps: " + str([["cat"]] * 255), "steps"),
    ],
)
def test_a_benchmark_file_from_others(wilss, tmp_path: Path, text: str, message: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "pets.yaml").write_text(text)
    code, _, err = wilss("run", tmp_path / "pets.yaml", "--data", tmp_path, "--root", tmp_path / "root")
    assert code == 2
    sentence(err)
    assert message in err
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    "setting",
    [
        "foundation.background=[!!int x]",
        "foundation.background=" + "[" * 20_000,
        "foundation.scorer_scales=[2001-99-99]",
        "student.backbone=local-dir:/tmp",
        "student.aspp_channels=100000000",
        "step.epochs" + ".x" * 5000 + "=1",
        "preset=[a]",
    ],
)
def test_settings_of_the_command_line(wilss, tmp_path: Path, setting: str) -> None:  # type: ignore[no-untyped-def]
    code, _, err = wilss("run", "scenes-15-5", "--set", setting, "--root", tmp_path / "root")
    assert code == 2
    sentence(err)
    assert len(err) < 1000
