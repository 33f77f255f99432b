"""A base student of which some images are held out: what is kept of it, and what people are told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flows.base import run_base
from stores.artefacts import Store
from wilss.models.card import StudentCard, load_card
from wilss.settings import Settings
from wilss.spec import make_spec
from wilss.state import HELD_OUT, best_epoch

pytestmark = pytest.mark.usefixtures("prefect_backend")


def test_the_best_epoch_is_said_and_its_scores_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = {"epochs": 3, "held_out": 0.2, "patience": 2}
    spec = make_spec({"benchmark": "scenes-15-5", "preset": "tiny", "method": "finetune", "base": base})
    run_base(spec, Settings(root=tmp_path))
    (manifest,) = Store(tmp_path).all("checkpoints")
    history = load_card(Store(tmp_path).folder(manifest.ref), StudentCard).history
    scores = [epoch[HELD_OUT] for epoch in history]
    said = capsys.readouterr().err
    told = re.search(r"base student: as after epoch (\d) of (\d).*; mIoU ([\d.]+) on (\d+) held out", said)
    assert told is not None, said
    assert (int(told[1]), int(told[2])) == (best_epoch(history), len(history))
    assert float(told[3]) == pytest.approx(100 * max(scores), abs=0.06)
    images = re.search(r"step 0: (\d+) images", said)
    assert images is not None
    assert manifest.counts["images"] + int(told[4]) == int(images[1])
