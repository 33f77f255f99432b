"""Real photographs and real weights, a few of them: COCO as base, VOC as step 1, and a comparison on VOC 10-10."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHORT = ["base.epochs=1", "step.epochs=3", "data.canvas=160", "augment.crop=128", "data.eval_crop=128"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def few_of_voc(real_data: Path, root: Path, n_train: int, n_eval: int) -> Path:
    """A VOC folder of links with shortened lists."""
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for name in ("JPEGImages", "SegmentationClassAug"):
        (root / name).symlink_to((real_data / "voc2012" / name).resolve())
    for name, count in (("train_aug", n_train), ("dev", n_eval)):
        ids = (real_data / "voc2012" / "ImageSets" / "Segmentation" / f"{name}.txt").read_text().split()
        (lists / f"{name}.txt").write_text("\n".join(ids[:: len(ids) // count][:count]))
    return root


def few_of_coco(real_data: Path, root: Path, n_eval: int) -> Path:
    """COCO's training images, and some of them as evaluation images."""
    plain = real_data / "coco128"
    (root / "annotations").mkdir(parents=True)
    for split in ("train2017", "val2017"):
        (root / split).symlink_to((plain / "train2017").resolve())
    text = (plain / "annotations" / "instances_train2017.json").read_text()
    content = json.loads(text)
    content["images"] = content["images"][:n_eval]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] in kept]
    (root / "annotations" / "instances_train2017.json").write_text(text)
    (root / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    return root


def wilss(*arguments: object) -> str:
    command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_coco_base_and_voc_step(real_data: Path, tmp_path: Path) -> None:
    voc = few_of_voc(real_data, tmp_path / "voc", 40, 20)
    options = [
        "--weights",
        real_data / "weights",
        "--root",
        tmp_path / "root",
        "--set",
        *SHORT,
    ]
    coco = few_of_coco(real_data, tmp_path / "coco", 24)
    wilss("run", "coco-to-voc", "--data", coco, "--voc", voc, *options)
    (path,) = (tmp_path / "root" / "runs").glob("*/report.json")
    report = json.loads(path.read_text())
    assert len(report["per_class_iou"]) == 81
    assert set(report["steps"][-1]["tables"]) == {"full", "crop", "voc full", "voc crop"}
    (labels,) = (entry["iou"] for entry in report["label_sets"] if "refined" in entry["iou"])
    assert labels["refined"] > 0.2  # the classifier knows what it looks for


@pytest.mark.whole
def test_compare_on_photographs(real_data: Path, tmp_path: Path) -> None:
    voc = few_of_voc(real_data, tmp_path / "voc", 60, 20)
    options = ["--weights", real_data / "weights", "--root", tmp_path / "root", "--seeds", "0", "--set", *SHORT]
    methods = ["--methods", "finetune", "wilson", "fmwiss", "joint"]
    out = wilss("compare", "voc-10-10", "--data", voc, *methods, *options)
    assert "compare.html" in out
    (path,) = (tmp_path / "root" / "comparisons").glob("*/compare.json")
    tables = {table["key"]: table["rows"] for table in json.loads(path.read_text())["tables"]}
    assert [name for name, _ in tables["full-C"]] == ["finetune", "wilson", "fmwiss", "joint"]
    assert set(tables) == {f"{scoring}-{convention}" for scoring in ("full", "crop") for convention in "ABC"}


def test_few_shot_baselines_on_photographs(real_data: Path, tmp_path: Path) -> None:
    voc = few_of_voc(real_data, tmp_path / "voc", 220, 150)
    options = [
        "--benchmark",
        "pascal-5i",
        "--data",
        voc,
        "--weights",
        real_data / "weights",
        "--root",
        tmp_path / "root",
    ]
    short = ["size=129", "min_area=300", "episodes=24", "base_episodes=16", "data.canvas=160", "start=pretrained"]
    table = wilss("few-shot", "compare", "--heads", "prior", "prototype", "--folds", 3, "--set", *short, *options)
    assert "prototype, 1 shot" in table
    content = json.loads(next((tmp_path / "root" / "comparisons").glob("*/compare.json")).read_text())
    (scores,) = content["tables"]
    assert [name for name, _ in scores["rows"]] == ["prior, 1 shot", "prototype, 1 shot"]
    assert all(0 < float(cells[0]) < 100 for _, cells in scores["rows"])
