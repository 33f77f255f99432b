"""Own data end to end: a benchmark file, a folder of tagged images, and a start from a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from stores.plans.run import Run
from stores.plans.session import Session
from tests.flows.test_cli import voc_folder
from tests.wilss.test_coco import coco_folder
from wilss.data.files import read_mask
from wilss.data.scenes.outlines import CLASSES
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import World
from wilss.data.voc import save_palette_png
from wilss.report.pictures import to_pil
from wilss.settings import Settings
from wilss.spec import make_spec

pytestmark = pytest.mark.usefixtures("prefect_backend")

BASE, NEW = CLASSES[:15], CLASSES[15:17]
OPTIONS = ["--preset", "tiny", "--set", "fmwiss.memory.min_pixels=16"]


def benchmark_file(folder: Path) -> Path:
    path = folder / "mine.yaml"
    path.write_text(f"name: mine\ndata: folder\nsteps:\n  - {json.dumps(BASE)}\n  - {json.dumps(NEW)}\n")
    return path


def own_folder(root: Path, masks: bool) -> Path:
    """Scenes as photographs of one's own: the first 24 with masks of the base classes if wanted, tags for all."""
    source = ScenesSource(World(image_size=64), 120, 0)
    for name in ("images", "masks", "eval"):
        (root / name).mkdir(parents=True, exist_ok=True)
    rows = ["image,labels"]
    for number, (image_id, tags) in enumerate(zip(source.ids("train"), source.tags("train"), strict=True)):
        to_pil(source.image(image_id)).save(root / "images" / f"{image_id}.png")
        own = [CLASSES[c - 1] for c in tags if CLASSES[c - 1] in (*BASE, *NEW)]
        rows.append(f"{image_id}.png,{';'.join(own)}")
        if masks and number < 48:
            mask = source.mask(image_id)
            mask[(mask > len(BASE) + len(NEW)) & (mask < 255)] = 0
            save_palette_png(mask, root / "masks" / f"{image_id}.png")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    if masks:
        (root / "eval.txt").write_text("\n".join(source.ids("train")[:8]) + "\n")
    return root


def test_a_folder_with_masks_runs_from_base_to_report(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    data, root = own_folder(tmp_path / "data", masks=True), tmp_path / "root"
    code, _, err = wilss("run", benchmark_file(tmp_path), "--data", data, *OPTIONS, "--root", root)
    assert code == 0, err
    (path,) = (root / "runs").glob("mine-*/report.json")
    report = json.loads(path.read_text())
    assert list(report["per_class_iou"]) == ["background", *BASE, *NEW]
    assert report["metrics"]["old"] is not None
    assert report["sources"] == {"data": str(data)}
    assert report["label_sets"][0]["iou"]["refined"] is not None  # some step images have masks to compare with


@pytest.mark.slow
def test_a_checkpoint_learns_from_tagged_images_alone(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    root = tmp_path / "root"
    code, _, err = wilss("step", "scenes-15-5", "--step", 0, *OPTIONS, "--root", root)
    assert code == 0, err
    (checkpoint,) = (root / "checkpoints").glob("??/*")
    data = own_folder(tmp_path / "data", masks=False)
    arguments = ["run", benchmark_file(tmp_path), "--data", data, "--start", checkpoint, *OPTIONS, "--root", root]
    code, out, err = wilss(*arguments)
    assert code == 0, err
    assert "there is no memory bank: nothing is pasted" in err
    assert "look: no image with a mask was kept to score on" in out
    assert "  name some images with masks in eval.txt" in out
    (path,) = (root / "runs").glob("mine-*/report.json")
    report = json.loads(path.read_text())
    assert report["metrics"] == {"old": None, "new": None, "all": None}  # nothing to score on
    assert "memory bank" not in report["artefacts"]
    assert {stage for entry in report["label_sets"] for stage in entry["iou"]} == {"initial", "refined", "final"}
    page = next((root / "runs").glob("mine-*/report.html")).read_text()
    assert "Pseudo-labels of step 1" in page
    assert "Predictions before and after the last step" in page
    assert page.count("<img ") > 8
    checkpoint, image = report["artefacts"]["checkpoint 1"], data / "images" / "train-000003.png"
    code, _, err = wilss("predict", checkpoint, image, "-o", tmp_path / "o", "--root", root)
    assert code == 0, err
    with Image.open(tmp_path / "o" / "train-000003.png") as labels:
        assert labels.size == (64, 64)


def test_a_checkpoint_of_other_classes_is_refused(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    root = tmp_path / "root"
    code, _, err = wilss("step", "scenes-10-10", "--step", 0, *OPTIONS, "--root", root)
    assert code == 0, err
    (checkpoint,) = (root / "checkpoints").glob("??/*")
    data = own_folder(tmp_path / "data", masks=False)
    arguments = ["run", benchmark_file(tmp_path), "--data", data, "--start", checkpoint, *OPTIONS, "--root", root]
    code, _, err = wilss(*arguments)
    assert code == 2
    assert "knows 10 classes, 15 are expected" in err


@pytest.mark.slow
def test_a_student_of_several_steps_may_stand_for_step_zero(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    root = tmp_path / "root"
    code, _, err = wilss("run", "scenes-10-5-5", "--method", "wilson", *OPTIONS, "--root", root)
    assert code == 0, err
    (path,) = (root / "runs").glob("scenes-*/report.json")
    taught = json.loads(path.read_text())["artefacts"]["checkpoint 1"]  # 10 classes, then 5
    data = own_folder(tmp_path / "data", masks=False)
    arguments = ["run", benchmark_file(tmp_path), "--method", "wilson", "--data", data, "--start", taught, *OPTIONS]
    code, _, err = wilss(*arguments, "--root", root)
    assert code == 0, err
    (first,) = (root / "runs").glob("mine-*/report.json")
    before = json.loads(first.read_text())["artefacts"]["checkpoint 1"]
    rows = (data / "labels.csv").read_text().splitlines()
    gone = next(row for row in rows if NEW[0] in row)
    (data / "images" / gone.partition(",")[0]).unlink()
    (data / "labels.csv").write_text("\n".join(row for row in rows if row != gone) + "\n")
    code, _, err = wilss(*arguments, "--root", root)
    assert code == 0, err
    assert json.loads(first.read_text())["artefacts"]["checkpoint 1"] != before  # other data, another student


def test_joint_needs_masks_of_every_class(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    data = own_folder(tmp_path / "data", masks=False)
    arguments = ["--method", "joint", "--data", data, *OPTIONS, "--root", tmp_path / "root"]
    code, _, err = wilss("run", benchmark_file(tmp_path), *arguments)
    assert code == 2
    assert "no training image with a mask for step 0" in err
    assert not list((tmp_path / "root").rglob("manifest.json"))
    own_folder(data, masks=True)  # masks of the base classes for some images, tags alone for the others
    for image_id in ("train-000000", "train-000001"):
        (data / "masks" / f"{image_id}.png").unlink(missing_ok=True)
    for path in (data / "masks").glob("*.png"):
        mask = read_mask(path)
        mask[(mask > len(BASE)) & (mask < 255)] = 0
        save_palette_png(mask, path)
    rows = (data / "labels.csv").read_text().splitlines()
    kept = [row for row in rows if not (data / "masks" / row.partition(",")[0]).is_file()]
    (data / "labels.csv").write_text("\n".join(kept) + "\n")
    (data / "eval.txt").unlink()
    code, _, err = wilss("compare", benchmark_file(tmp_path), "--methods", "wilson", "joint", *arguments[2:])
    assert code == 2
    assert f"joint learns every class from masks, but no image with a mask shows {', '.join(NEW)}" in err
    assert not list((tmp_path / "root").rglob("manifest.json"))


def test_a_step_without_images_is_refused_before_any_training(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    data = own_folder(tmp_path / "data", masks=True)
    path = tmp_path / "more.yaml"
    steps = json.dumps([BASE, NEW, ["unicorn"]])
    path.write_text(f"name: more\ndata: folder\nsteps: {steps}\n")
    code, _, err = wilss("run", path, "--method", "wilson", "--data", data, *OPTIONS, "--root", tmp_path / "root")
    assert code == 2
    assert "no training image for step 2 of more (overlap): none holds unicorn" in err
    assert not list((tmp_path / "root").rglob("manifest.json"))


def test_damaged_checkpoints_are_named(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"x")
    (folder / "card.json").write_text("{}")
    data = own_folder(tmp_path / "data", masks=False)
    code, _, err = wilss(
        "run", benchmark_file(tmp_path), "--data", data, "--start", folder, *OPTIONS, "--root", tmp_path / "r"
    )
    assert code == 2
    assert "card.json' is damaged" in err


def test_protocol_and_check_commands(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    data = own_folder(tmp_path / "data", masks=True)
    code, out, err = wilss(
        "data", "check", data, "--benchmark", benchmark_file(tmp_path), "-o", tmp_path / "s.png", "--json"
    )
    assert code == 0, err
    facts = json.loads(out)
    assert facts["images"] == 120
    assert facts["sound"]
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.width > 128
    (tmp_path / "labels.csv").write_text("image_id,labels\na,cat\nb,cat sheep\nc,train tvmonitor\n")
    code, out, err = wilss(
        "protocol", "voc-15-5", "--labels", tmp_path / "labels.csv", "--json", "--write", tmp_path / "ids"
    )
    assert code == 0, err
    steps = json.loads(out)["steps"]
    assert [s["images"] for s in steps] == [2, 2]
    assert steps[1]["with_old_class"] == steps[1]["in_earlier_step"] == 1
    assert steps[1]["images_by_labels"] == {"1": 1, "2": 1}
    lists = {path.name: path.read_text() for path in (tmp_path / "ids").iterdir()}
    assert lists == {"step-0.txt": "a\nb\n", "step-1.txt": "b\nc\n"}
    arguments = ["--scenario", "disjoint", "--labels", tmp_path / "labels.csv", "--write", tmp_path / "disjoint"]
    code, out, err = wilss("protocol", "voc-15-5", *arguments)
    assert code == 0, err
    lists = {path.name: path.read_text() for path in (tmp_path / "disjoint").iterdir()}
    assert lists == {"step-0.txt": "a\n", "step-1.txt": "b\nc\n"}
    (data / "labels.csv").write_text("image,labels\ntrain-000000.png,elephant\n")
    code, out, err = wilss("data", "check", data, "--benchmark", benchmark_file(tmp_path), "-o", tmp_path / "s.png")
    assert code == 2
    assert "names the class 'elephant', which is none, in 1 row(s)" in out
    assert "is not ready for a run" in err
    code, out, _ = wilss("data", "check", data, "-o", tmp_path / "s.png")
    assert (code, "no benchmark given" in out) == (0, True)
    (data / "images" / "lost.gif").touch()
    code, out, _ = wilss("data", "check", data, "-o", tmp_path / "s.png", "--json")
    facts = json.loads(out)
    assert (code, facts["passed_over"]) == (1, {"file of another kind": 1})
    assert [f["severity"] for f in facts["findings"] if f["kind"].startswith("passed-over")] == ["warn"]


def test_coco_to_voc_end_to_end(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    coco, voc = coco_folder(tmp_path / "coco"), voc_folder(tmp_path / "voc", 24)
    arguments = ["--data", coco, "--voc", voc, "--set", "data.coco_eval=train2017", *OPTIONS]
    # clip:scenes knows no photographs; what counts here is the path
    code, out, err = wilss("run", "coco-to-voc", *arguments, "--root", tmp_path / "root")
    assert code == 0, err
    assert "step 0: 2 images, step 1: 24 images" in err
    assert "after the last step, voc: old –, new" in out
    (path,) = (tmp_path / "root" / "runs").glob("*/report.json")
    report = json.loads(path.read_text())
    assert [s["n_classes"] for s in report["steps"]] == [60, 80]
    assert len(report["per_class_iou"]) == 81
    assert list(report["steps"][-1]["tables"]) == ["full", "voc full"]
    assert "voc: full-size images" in path.with_suffix(".html").read_text()
    (labels,) = (m for m in report["label_sets"] if "refined" in m["iou"])
    code, out, err = wilss(
        "labels", "show", labels["digest"], "--image", "voc/2007_000001", "--root", tmp_path / "root"
    )
    assert code == 0, err
    assert Path(out.strip()).is_file()


def test_a_label_set_depends_on_the_old_classes_that_compete_in_it(tmp_path: Path) -> None:
    data = own_folder(tmp_path / "data", masks=False)

    def digest(old: tuple[str, ...], old_names: bool) -> str:
        ignored = [name for name in BASE if name not in old]
        custom = {"name": "mine", "data": "folder", "steps": [old, NEW], "ignore": ignored}
        content = {"benchmark": "mine", "custom": custom, "preset": "tiny", "foundation": {"old_names": old_names}}
        run = Run(make_spec(content), Session(Settings(root=tmp_path, data=data)))
        return run.plan["labels 1"].recipe.digest

    assert digest(BASE[:2], True) != digest(BASE[2:4], True)
    assert digest(BASE[:2], False) == digest(BASE[2:4], False)
