"""Images of one pixel, and long narrow ones, go all the way: checked, learnt from, labelled, scored and predicted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands import Wilss
from tests.flows.conftest import photo
from tests.wilss.odd_files import corner

SIZES = {"dot": (1, 1), "row": (1, 4000), "strip": (8, 4000), "plain": (48, 64)}
"""Height and width."""
TINY = [
    *(
        "--preset",
        "tiny",
        "--set",
        "fmwiss.memory.min_pixels=1",
        "fmwiss.warmup_epochs=0",
        "base.epochs=1",
        "step.epochs=1",
    ),
    *("base.batch_size=2", "step.batch_size=2", "data.void=ignore"),
]


def folder_of_odd_sizes(root: Path) -> Path:
    """Each size with a mask of a base class, with a tag of the new one alone, and to score on."""
    (root / "masks").mkdir(parents=True)
    rows = ["image,labels"]
    for seed, (name, (height, width)) in enumerate(SIZES.items()):
        for kind, tag in {"base": "cat", "new": "dog", "eval": "cat"}.items():
            photo(root / "images" / f"{name}-{kind}.png", 10 * seed + ord(kind[0]), (height, width))
            rows.append(f"{name}-{kind}.png,{tag}")
            if kind != "new":
                mask = corner(height, width) if min(height, width) > 1 else np.ones((height, width), np.uint8)
                Image.fromarray(mask).save(root / "masks" / f"{name}-{kind}.png")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    (root / "eval.txt").write_text("\n".join(f"{name}-eval" for name in SIZES))
    return root


@pytest.mark.usefixtures("prefect_backend")
def test_images_of_odd_sizes_go_all_the_way(wilss: Wilss, tmp_path: Path) -> None:
    data, benchmark = folder_of_odd_sizes(tmp_path / "data"), tmp_path / "odd.yaml"
    benchmark.write_text("name: odd\ndata: folder\nsteps: [[cat], [dog]]\n")
    code, out, err = wilss("data", "check", data, "--benchmark", benchmark, "--out", tmp_path / "sheet.png")
    assert code == 0, out + err
    root = tmp_path / "root"
    code, _, err = wilss("run", benchmark, "--data", data, "--root", root, *TINY)
    assert code == 0, err
    (path,) = (root / "runs").glob("odd-*/report.json")
    report = json.loads(path.read_text())
    checkpoint = report["artefacts"]["checkpoint 1"]
    code, out, err = wilss("predict", checkpoint, data / "images", "-o", tmp_path / "out", "--root", root)
    assert code == 0, err
    for name, (height, width) in SIZES.items():
        assert Image.open(tmp_path / "out" / f"{name}-new.png").size == (width, height)
