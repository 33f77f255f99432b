"""Few-shot runs on VOC, on COCO, and from COCO to VOC, over folders of squares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.flows.test_fewshot import TINY
from wilss.data.coco.names import COCO_IDS
from wilss.data.voc import save_palette_png

pytestmark = pytest.mark.usefixtures("prefect_backend")


def test_evaluation_names_images_that_are_gone(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = voc_squares(tmp_path / "voc")
    gone = sorted((folder / "JPEGImages").iterdir())[7]
    gone.unlink()
    lists = ("data.train_list=dev", "data.eval_list=dev", "min_area=20")
    common = ("--benchmark", "pascal-5i", "--fold", 1, *TINY, *lists, "--data", folder, "--root", tmp_path)
    code, _, err = wilss("few-shot", "eval", *common)
    assert code == 2
    assert gone.name in err


@pytest.mark.slow
def test_a_head_is_trained_on_a_voc_folder_and_scored(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    data = ("--data", voc_squares(tmp_path / "voc"), "--root", tmp_path)
    lists = ("--set", "data.train_list=dev", "data.eval_list=dev", "min_area=20")
    head = ("--benchmark", "pascal-5i", "--fold", 1, "--head", "pfenet", "--svf", "--shots", 1, 2)
    for command in ("train", "eval"):
        code, _, err = wilss("few-shot", command, *head, *TINY, *lists, *data)
        assert code == 0, err
    reports = [json.loads(path.read_text()) for path in (tmp_path / "fewshot").glob("pascal-5i*/fewshot.json")]
    assert sorted(report["shots"] for report in reports) == [1, 2]
    for report in reports:
        assert (report["head"], report["tuning"]) == ("pfenet", "svf")
        assert set(report["novel"]["per_class_iou"]) == {"bus", "car", "cat", "chair", "cow"}
        assert report["sources"] == {"data": str(tmp_path / "voc")}


def test_an_object_too_small_for_the_canvas_is_named_before_anything_is_trained(  # type: ignore[no-untyped-def]
    wilss, tmp_path: Path
) -> None:
    folder, image_id = voc_squares(tmp_path / "voc"), "2007_000015"
    speck = torch.zeros(192, 192, dtype=torch.uint8)
    speck[0, 0] = 6
    Image.fromarray(np.full((192, 192, 3), 60, np.uint8)).save(folder / "JPEGImages" / f"{image_id}.jpg")
    save_palette_png(speck, folder / "SegmentationClassAug" / f"{image_id}.png")
    lists = ("data.train_list=dev", "data.eval_list=dev", "min_area=1")
    common = ("--benchmark", "pascal-5i", "--fold", 1, *TINY, *lists, "--data", folder, "--root", tmp_path / "root")
    code, _, err = wilss("few-shot", "train", *common)
    assert code == 2
    assert f"class 6 ('bus') has an area of 1 in '{image_id}', and no pixel is left of it at 65 pixels" in " ".join(
        err.split()
    )
    assert not (tmp_path / "root" / "heads").exists()


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", ["coco-20i", "coco-to-pascal"])
def test_coco_and_the_way_to_pascal(  # type: ignore[no-untyped-def]
    wilss, benchmark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = ("data.eval_list=dev",) if benchmark == "coco-to-pascal" else ()
    options = ("--set", "min_area=20", "data.coco_eval=train2017", *lists)
    data = ("--data", coco_squares(tmp_path / "coco"), "--voc", voc_squares(tmp_path / "voc"))
    common = ("--benchmark", benchmark, "--heads", "prior", "--fold", 1, *TINY, *options, "--root", tmp_path)
    code, out, err = wilss("few-shot", "compare", *common, *data)
    assert code == 0, err
    assert "prior, 1 shot" in out
    reports = [json.loads(path.read_text()) for path in (tmp_path / "fewshot").glob(f"{benchmark}*/fewshot.json")]
    (report,) = reports
    novel = report["novel"]["per_class_iou"]
    assert len(novel) == {"coco-20i": 20, "coco-to-pascal": 4}[benchmark]
    assert not set(novel) & set(report["base"]["per_class_iou"])
    both = {**novel, **report["base"]["per_class_iou"]}
    missing = [name for name, value in both.items() if value is None]
    assert all(f"('{name}')" in err for name in missing)
    assert ("episodes ask for no object of class" in err) == bool(missing)

    def no_mask(*_: object) -> None:
        pytest.fail("a mask is read for a list again")

    for module in ("stores.plans.fewshot_run", "tasks.fewshot"):
        monkeypatch.setattr(f"{module}.read_areas", no_mask)
    for anew in ((), ("--again", "head", "episodes")):
        code, again, err = wilss("few-shot", "compare", *common, *data, *anew)
        assert code == 0, err
        assert again == out


def coco_squares(root: Path) -> Path:
    """Three images of a square for each of COCO's 80 classes."""
    (root / "annotations").mkdir(parents=True)
    (root / "train2017").mkdir()
    images, annotations = [], []
    for number, category in enumerate(k for k in COCO_IDS for _ in range(3)):
        left, name = 4 + number % 3 * 8, f"{number:012d}.png"
        picture = np.full((48, 48, 3), 60, np.uint8)
        picture[8:28, left : left + 20] = 200
        Image.fromarray(picture).save(root / "train2017" / name)
        images.append({"id": number, "file_name": name, "height": 48, "width": 48})
        box = [left, 8, left + 20, 8, left + 20, 28, left, 28]
        facts = {"segmentation": [box], "iscrowd": 0, "area": 400.0, "bbox": [left, 8, 20, 20]}
        annotations.append({"id": number + 1, "image_id": number, "category_id": category, **facts})
    categories = [{"id": k, "name": name} for k, name in COCO_IDS.items()]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations" / "instances_train2017.json").write_text(json.dumps(content))
    return root


def voc_squares(root: Path) -> Path:
    """Three images of a square for each of VOC's 20 classes."""
    for name in ("JPEGImages", "SegmentationClassAug", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    ids = [f"2007_{number:06d}" for number in range(60)]
    for number, image_id in enumerate(ids):
        mask = torch.zeros(48, 48, dtype=torch.uint8)
        mask[8:28, 4 : 24 + number % 3 * 8] = 1 + number // 3
        picture = np.where(mask.numpy()[..., None] > 0, 200, 60).astype(np.uint8).repeat(3, 2)
        Image.fromarray(picture).save(root / "JPEGImages" / f"{image_id}.jpg")
        save_palette_png(mask, root / "SegmentationClassAug" / f"{image_id}.png")
    (root / "ImageSets" / "Segmentation" / "dev.txt").write_text("\n".join(ids))
    return root
