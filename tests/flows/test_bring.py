"""`wilss data import` on the command line: what it makes is sound, and a run learns from it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as native

from tests.flows.test_cli import voc_folder
from tests.flows.test_own_data import OPTIONS
from tests.wilss.bringing import coco_file, entry, label_file, picture, shape
from tests.wilss.coco_records import annotation
from tests.wilss.odd_files import corner, folder, in_palette, noise
from wilss.data.scenes.outlines import CLASSES
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import World
from wilss.report.pictures import to_pil

NAMES = {7 * number: name for number, name in enumerate(CLASSES[:6], start=1)}
"""Category ids with gaps."""


def scenes(root: Path, count: int) -> tuple[Path, Path]:
    """Scenes as another tool exports them: run lengths, ids of images as text, no area."""
    source = ScenesSource(World(image_size=64), count, 0)
    (root / "img" / "sub").mkdir(parents=True)
    images, annotations = [], []
    for image_id in source.ids("train"):
        to_pil(source.image(image_id)).save(root / "img" / "sub" / f"{image_id}.png")
        images.append({"id": f"i-{image_id}", "file_name": f"sub\\{image_id}.png", "height": 64, "width": 64})
        mask = source.mask(image_id).numpy()
        for number, _ in enumerate(NAMES, start=1):
            if (mask == number).any():
                runs = native.encode(np.asfortranarray((mask == number).astype(np.uint8)))
                segmentation = {"size": [64, 64], "counts": runs["counts"].decode()}
                place = {"image_id": f"i-{image_id}", "category_id": 7 * number}
                annotations.append({"id": len(annotations), **place, "segmentation": segmentation})
    categories = [{"id": number, "name": name} for number, name in NAMES.items()]
    content = {"annotations": annotations, "images": images, "categories": categories}
    (root / "own.json").write_text(json.dumps(content))
    return root / "own.json", root / "img"


@pytest.mark.usefixtures("prefect_backend")
def test_what_is_imported_is_sound_and_trains(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    annotations, images = scenes(tmp_path / "in", 60)
    out, root = tmp_path / "mine", tmp_path / "root"
    where = ["--images", images, "--to", out, "--hold-out", 0.2, "--new", CLASSES[4], CLASSES[5]]
    code, told, err = wilss("data", "import", "coco", annotations, *where)
    assert code == 0, told + err
    assert "60 of 60 images placed, 60 masks, 12 held out" in told
    benchmark = out / "benchmark.yaml"
    code, told, err = wilss("data", "check", out, "--benchmark", benchmark, "--out", tmp_path / "sheet.png")
    assert code == 0, told + err
    code, _, err = wilss("run", benchmark, "--data", out, *OPTIONS, "--root", root)
    assert code == 0, err
    (path,) = (root / "runs").glob("mine-*/report.json")
    report = json.loads(path.read_text())
    assert list(report["per_class_iou"]) == ["background", *CLASSES[:6]]
    assert report["metrics"]["new"] is not None


def test_exit_code_1_and_json_where_something_is_left(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    part = coco_file(
        tmp_path, [annotation(1), annotation(2, segmentation=[])], [entry(1, "1.jpg"), entry(2, "2.jpg")], {1: "cat"}
    )
    arguments = ["data", "import", "coco", part.annotations, "--images", part.images, "--to", tmp_path / "out"]
    code, out, _ = wilss(*arguments, "--json")
    facts = json.loads(out)
    assert code == 1
    assert (facts["complete"], facts["images"], facts["masks"], facts["not_placed"]) == (False, 2, 1, 0)
    assert {finding["kind"] for finding in facts["findings"]} == {"coco-no-outline", "mask"}
    code, _, err = wilss(*arguments)
    assert code == 2
    assert "is there already and not an empty folder" in err


def test_every_form_has_a_command(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    picture(tmp_path / "f/cat/a.jpg")
    picture(tmp_path / "f/dog/b.jpg")
    (tmp_path / "t.csv").write_text("image;cat;dog\na;1;0\nb;1;1\n")
    label_file(tmp_path / "l", [shape("cat", [[0, 0], [9, 0], [9, 9]])])
    commands = {
        "folder-of-folders": [tmp_path / "f"],
        "csv": [tmp_path / "t.csv", "--images", tmp_path / "f"],
        "labelme": [tmp_path / "l"],
        "masks": [tmp_path / "made-labelme/masks", "--images", tmp_path / "made-labelme/images", "--classes", "cat"],
    }
    for name, arguments in commands.items():
        code, out, err = wilss("data", "import", name, *arguments, "--to", tmp_path / f"made-{name}")
        assert code == 0, out + err
        command = next(line for line in out.splitlines() if line.startswith("look it over: "))
        assert str(tmp_path / f"made-{name}") in command
        assert ("no masks, so step 0 cannot be learnt here" in out) == (name in ("folder-of-folders", "csv")), out
        checked = shlex.split(command.partition(": wilss ")[2])
        assert wilss(*checked, "--out", tmp_path / "sheet.png")[0] == 0, command
    picture(tmp_path / "m/a.png")
    code, _, err = wilss("data", "import", "masks", tmp_path / "m", "--images", tmp_path / "l", "--to", tmp_path / "x")
    assert code == 2
    assert "give --colours TABLE" in err


def test_categories_of_ones_own_are_refused_with_the_command_that_takes_them(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    part = coco_file(tmp_path / "my data", [annotation(1)], [entry(1, "1.jpg")], {1: "weed"})
    folder = tmp_path / "my data"
    (folder / "annotations").mkdir()
    part.annotations.rename(folder / "annotations/instances_val2017.json")
    part.images.rename(folder / "val2017")
    arguments = ["protocol", "coco-to-voc", "--data", folder, "--voc", voc_folder(tmp_path / "voc"), "--set"]
    splits = ["data.coco_train=val2017", "data.coco_eval=val2017", "data.eval_list=dev"]
    code, _, err = wilss(*arguments, *splits, "--root", tmp_path / "root")
    assert code == 2, err
    assert "wilss data import coco" in err, err
    command = err.partition("of your own: ")[2].partition(" (")[0].replace("DIR", str(tmp_path / "out")).strip()
    assert wilss(*shlex.split(command)[1:])[0] == 0
    assert (tmp_path / "out/benchmark.yaml").is_file()


def test_forms_are_read_without_torch() -> None:
    modules = "wilss.data.coco.annotations, wilss.data.bring.batch, wilss.data.bring.text, flows.cli.bring"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_where_masks_lie_is_said_without_a_benchmark_too(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    exif = Image.Exif()
    exif[0x0112] = 3
    root = folder(tmp_path / "pets", {"a": in_palette(corner())}, "a,cat\n", {"a": noise()})
    noise().save(root / "images" / "a.png", exif=exif)
    arguments = ["data", "check", root, "--out", tmp_path / "sheet.png"]
    code, out, _ = wilss(*arguments)
    assert code == 2
    assert "say with --set data.masks=raw" in " ".join(out.split())
    for drawn in ("raw", "upright"):
        code, out, err = wilss(*arguments, "--set", f"data.masks={drawn}")
        assert code == 0, out + err
        assert ("its mask was drawn before" in " ".join(out.split())) == (drawn == "raw")
    code, _, err = wilss(*arguments, "--set", "data.masks=up")
    assert code == 2
    assert "unknown data.masks 'up'" in err


def test_a_folder_is_looked_over_within_a_root_of_ones_own(  # type: ignore[no-untyped-def]
    wilss, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WILSS_ROOT", raising=False)
    data = folder(tmp_path / "pets", {"a": in_palette(corner())}, "a,cat\n")
    code, out, err = wilss("data", "check", data, "--root", tmp_path / "root")
    assert code == 0, out + err
    assert (tmp_path / "root" / "sheets" / "data-pets.png").is_file()
    assert not (tmp_path / "wilss-data").exists()
