"""The command line as a fixture."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from flows.cli import benchmarks, few_shot, foundations, retrain
from tests.commands import command_line
from tests.wilss.models.cards import SPEC, student_card
from wilss.models.files import save_model
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter


@pytest.fixture
def wilss(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Run the command line in this process: (exit code, standard output, standard error)."""
    monkeypatch.delenv("WILSS_DATA", raising=False)
    for module in (benchmarks, few_shot, foundations, retrain):  # the tests bring their own Prefect server
        monkeypatch.setattr(module, "server_at_hand", lambda root, verbose=False: nullcontext())

    return command_line(capsys, monkeypatch)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = build_segmenter(SPEC, find_weights("resnet_scenes", "none", None), (2,))
    with torch.no_grad():
        model.classifiers[0].weight.mul_(1000)  # type: ignore[operator, union-attr]
        model.classifiers[0].bias.zero_()  # type: ignore[operator, union-attr]
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    save_model(model.state_dict(), student_card(), folder)
    return folder


def photo(path: Path, seed: int = 0, size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path
