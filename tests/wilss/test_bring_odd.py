"""Odd values in files of every form are placed or told."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.wilss.bringing import coco_file, entry, label_file, shape, source
from tests.wilss.coco_records import RUNS, annotation
from tests.wilss.odd_values import ODD
from wilss.data.bring.build import build
from wilss.data.bring.coco import from_coco
from wilss.data.bring.labelme import from_labelme
from wilss.data.bring.maps import numbered, read_map
from wilss.data.bring.masks import from_masks
from wilss.data.bring.tables import from_table
from wilss.errors import WilssError


def changed(content: Any, draw: np.random.Generator) -> Any:
    """The same with an odd value somewhere."""
    here = content
    while True:
        keys: list[Any] = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = keys[int(draw.integers(len(keys)))]
        if not isinstance(here[key], list | dict) or not here[key] or draw.random() < 0.3:
            here[key] = ODD[int(draw.integers(len(ODD)))]
            return content
        here = here[key]


@pytest.mark.parametrize("form", ["coco", "labelme", "map", "csv", "masks"])
def test_odd_values_are_placed_or_told(tmp_path: Path, form: str) -> None:
    """Nothing but our own errors, whatever the files hold."""
    label_file(tmp_path / "in", [shape("cat", [[0, 0], [9, 0], [9, 9]]), shape("dog", [[2, 2], [5, 5]], "rectangle")])
    sheet = json.loads((tmp_path / "in/a.json").read_text())
    part = coco_file(tmp_path / "c", [annotation(1), annotation(2, segmentation=RUNS)], [entry(1, "1.jpg")], {1: "cat"})
    annotations = json.loads(part.annotations.read_text())
    (tmp_path / "in/masks").mkdir()
    Image.fromarray(np.eye(20, 30, dtype=np.uint8)).save(tmp_path / "in/masks/a.png")
    for seed in range(60):
        draw = np.random.default_rng(seed)
        noise = bytes(draw.integers(0, 256, 40, dtype=np.uint8))
        with suppress(WilssError):
            if form == "coco":
                part.annotations.write_text(json.dumps(changed(json.loads(json.dumps(annotations)), draw)))
                batch = from_coco([part])
            elif form == "labelme":
                (tmp_path / "in/a.json").write_text(json.dumps(changed(json.loads(json.dumps(sheet)), draw)))
                batch = from_labelme(tmp_path / "in")
            elif form == "map":
                (tmp_path / "t.json").write_text(json.dumps(changed({"cat": [1, 2, 3], "dog": [4, 5, 6]}, draw)))
                (tmp_path / "t.txt").write_bytes(b"cat:1,2,3::\n" + noise)
                names = [read_map(tmp_path / f"t.{suffix}").classes for suffix in ("json", "txt")]
                assert all(names)
                continue
            elif form == "csv":
                (tmp_path / "t.csv").write_bytes(b"image,labels\na,cat\n" + noise.replace(b"\0", b"") * (seed % 3))
                batch = from_table(tmp_path / "t.csv", tmp_path / "in")
            else:
                content = bytearray((tmp_path / "in/masks/a.png").read_bytes())
                content[int(draw.integers(len(content)))] ^= 1 << int(draw.integers(8))
                (tmp_path / "m").mkdir(exist_ok=True)
                (tmp_path / "m/a.png").write_bytes(bytes(content))
                batch = from_masks(tmp_path / "m", tmp_path / "in", numbered(("cat",)))
            source(build(batch, tmp_path / f"out-{seed}"))
