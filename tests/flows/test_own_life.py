"""The life of one's own data, as docs/own-life.md tells it: from the first folder to the third step, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stores.artefacts import Store
from wilss.aliases import aliases_of, moves_of
from wilss.data.scenes.outlines import CLASSES
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import World
from wilss.data.voc import save_palette_png
from wilss.report.pictures import to_pil
from wilss.report.records import RunReport

pytestmark = [pytest.mark.slow, pytest.mark.whole, pytest.mark.timeout(600), pytest.mark.usefixtures("prefect_backend")]

STEPS = [CLASSES[:3], CLASSES[3:5], CLASSES[5:7]]
OPTIONS = ["--preset", "tiny", "--set", "fmwiss.memory.min_pixels=16"]
MASKED, SCORED = 40, 10


class Folder:
    """Photographs of one's own, which become more: with masks of the base classes, then with tags alone."""

    def __init__(self, root: Path) -> None:
        self.root, self.source = root, ScenesSource(World(image_size=64), 400, 0)
        self.rows, self.scored = ["image,labels"], list[str]()
        self.left = list(zip(self.source.ids("train"), self.source.tags("train"), strict=True))
        for name in ("images", "masks"):
            (root / name).mkdir(parents=True)

    def add(self, step: int, count: int, masks: bool, scored: bool = False) -> None:
        """Images that show a class of a step, and none of a later one."""
        known = [name for names in STEPS[: step + 1] for name in names]
        for image_id, tags in list(self.left):
            names = [CLASSES[c - 1] for c in tags]
            if not count or not set(names) & set(STEPS[step]) or set(names) & set(CLASSES[:7]) - set(known):
                continue
            count -= 1
            self.left.remove((image_id, tags))
            to_pil(self.source.image(image_id)).save(self.root / "images" / f"{image_id}.png")
            self.rows.append(f"{image_id}.png,{';'.join(name for name in names if name in known)}")
            self.scored += [image_id] if scored else []
            if masks:
                mask = self.source.mask(image_id)
                mask[(mask > len(known)) & (mask < 255)] = 0
                save_palette_png(mask, self.root / "masks" / f"{image_id}.png")
        assert not count, "the world has too few such images"
        (self.root / "labels.csv").write_text("\n".join(self.rows) + "\n")
        (self.root / "eval.txt").write_text("\n".join(self.scored) + "\n")

    def benchmark(self, steps: int) -> Path:
        path = self.root.parent / "mine.yaml"
        path.write_text(f"name: mine\ndata: folder\nsteps: {json.dumps(STEPS[:steps])}\n")
        return path


def reports(root: Path) -> dict[str, RunReport]:
    """Last student -> report."""
    found = [RunReport.read(path) for path in root.glob("runs/mine-*/report.json")]
    return {report.artefacts[f"checkpoint {report.steps[-1].step}"]: report for report in found}


def test_from_the_first_folder_to_the_third_step(wilss: Any, tmp_path: Path) -> None:
    def call(*words: object, fails: bool = False) -> tuple[str, str]:
        code, out, err = wilss(*words, "--root", tmp_path / "root")
        assert code == (2 if fails else 0), err
        return out, err

    root, folder = tmp_path / "root", Folder(tmp_path / "photographs")
    folder.add(0, MASKED, masks=True)
    folder.add(1, 20, masks=False)
    for step in (0, 1):
        folder.add(step, SCORED, masks=True, scored=True)
    benchmark, options = folder.benchmark(2), ["--data", folder.root, *OPTIONS]
    call("run", benchmark, *options)
    (first,) = reports(root)
    out, _ = call("models", "promote", next((root / "runs").glob("mine-*")), "--why", "the first")
    assert f"champion: nothing -> {first[:12]}" in out
    before = {path.name for path in root.glob("checkpoints/??/*")}

    folder.add(2, 20, masks=False)
    folder.add(2, SCORED, masks=True, scored=True)
    folder.benchmark(3)
    _, err = call("step", benchmark, "--step", 2, "--from", "champion", *options)
    assert "student of step 1, given: found" in err
    (second,) = {path.name for path in root.glob("checkpoints/??/*")} - before
    assert Store(root).get("checkpoints", second).parents["previous"] == first
    report = reports(root)[second]
    assert [step.step for step in report.steps] == [1, 2]
    assert set(STEPS[2]) < set(report.per_class_iou)
    assert report.metrics.all is not None
    call("models", "promote", second[:10], "--why", "knows more")
    out, _ = call("models", "rollback", "--why", "worse at dusk")
    assert f"champion: {second[:12]} -> {first[:12]}" in out
    assert f"another rollback of 'champion' goes forward again, to {second[:12]}" in out
    call("models", "rollback")
    assert aliases_of(root) == {"champion": second, "previous": first}

    folder.add(2, 8, masks=False)
    _, err = call("step", benchmark, "--step", 2, "--from", "champion", *options)
    said = "knows the classes of step 2 already: it is learnt again from the student of step 1 that it was made from"
    assert said in err
    (third,) = {path.name for path in root.glob("checkpoints/??/*")} - before - {second}
    assert Store(root).get("checkpoints", third).parents["previous"] == first
    call("models", "promote", third)
    assert aliases_of(root) == {"champion": third, "previous": second}
    assert [move.why for move in moves_of(root)] == ["the first", "knows more", "worse at dusk", "", ""]
    image = next((folder.root / "images").iterdir())
    call("predict", "champion", image, "-o", tmp_path / "out")
    assert (tmp_path / "out" / image.name).is_file()
    call("store", "gc", "--yes")
    _, err = call("step", benchmark, "--step", 2, "--from", "champion", *options)
    assert "report: found, nothing was to be done" in err, "what the champion needs is kept"
    out, _ = call("models", "show", "champion")
    assert "step 2: " + ", ".join(STEPS[2]) in out
