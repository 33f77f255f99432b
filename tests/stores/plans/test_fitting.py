"""Sizes that follow the data: the same whatever else was opened before, kept where they are usual, and said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stores.plans.run import Run
from stores.plans.session import Session
from wilss.settings import Settings
from wilss.spec import make_spec

USUAL = {"data": {"canvas": 320, "fit": True}, "augment": {"crop": 256}, "base": {"batch_size": 16}}


def folder(root: Path, cats: int, dogs: int) -> Path:
    """Cats with masks that cover a quarter, and dogs with masks and tags; of those sides in pixels."""
    place = root / "pets"
    for name in ("images", "masks"):
        (place / name).mkdir(parents=True)
    rows = ["image,labels"]
    for k in range(8):
        tag, side, label = ("cat", cats, 1) if k % 2 else ("dog", dogs, 2)
        mask = np.zeros((side, side), np.uint8)
        mask[: side // 2, : side // 2] = label
        Image.fromarray(np.full((side, side, 3), 9 * k, np.uint8)).save(place / "images" / f"{k}.png")
        Image.fromarray(mask).save(place / "masks" / f"{k}.png")
        rows.append(f"{k}.png,{tag}")
    (place / "labels.csv").write_text("\n".join(rows) + "\n")
    return place


class Opened:
    """Runs of one session, and what it said."""

    def __init__(self, root: Path, data: Path) -> None:
        self.said: list[str] = []
        self.session = Session(Settings(root=root, data=data, device="cpu"), self.said.append)

    def run(self, **changes: Any) -> Run:
        custom = {"name": "pets", "data": "folder", "steps": [["cat"], ["dog"]]}
        return Run(
            make_spec({"benchmark": "pets", "custom": custom, "preset": "tiny", **USUAL, **changes}), self.session
        )

    def sizes(self, **changes: Any) -> tuple[int, int, int, int]:
        spec = self.run(**changes).spec
        assert not spec.data.fit
        return spec.data.canvas, spec.augment.crop, spec.base.batch_size, spec.step.batch_size


@pytest.mark.parametrize("first", ["joint", "fmwiss"])
def test_every_method_has_the_sizes_of_step_0_in_any_order(tmp_path: Path, first: str) -> None:
    opened = Opened(tmp_path / "root", folder(tmp_path, cats=96, dogs=400))
    opened.run(method=first)
    assert {opened.sizes(method=method)[:2] for method in ("joint", "fmwiss", "finetune")} == {(96, 96)}
    assert [line for line in opened.said if "canvas" in line] == [
        "canvas 96, crop 96, batch 16 of step 0 instead of 320, 256, 16: photographs have up to 96 px; "
        "--set data.fit=false keeps the usual ones"
    ]


def test_where_the_usual_sizes_fit_nothing_is_changed_or_said(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "root", folder(tmp_path, cats=400, dogs=96))
    assert opened.sizes(step={"batch_size": 32}) == (320, 256, 16, 32)
    assert opened.sizes(base={"batch_size": 4}) == (320, 256, 4, 16)
    assert not [line for line in opened.said if "canvas" in line]


def test_both_batches_shrink_as_the_crop_grows(tmp_path: Path) -> None:
    place = folder(tmp_path, cats=900, dogs=96)
    for path in (place / "masks").iterdir():  # what is marked is small
        mask = np.asarray(Image.open(path)).copy()
        mask[30:], mask[:, 30:] = 0, 0
        Image.fromarray(mask).save(path)
    opened = Opened(tmp_path / "root", place)
    assert opened.sizes(step={"batch_size": 32}) == (640, 512, 4, 8)
    assert any("smaller than 11 px at 320" in line for line in opened.said)
