"""``wilss predict``: nothing is replaced, every image has a result of its own, and what is wrong is told."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from stores.models import predict_write
from tests.flows.conftest import photo
from wilss.models import predict as seeing
from wilss.models.model import Model
from wilss.report.pictures import overlay

TABLES = {"predictions.csv", "legend.csv", ".predictions.jsonl", ".predictions.lock"}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_photograph_is_never_replaced(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = photo(tmp_path / "photos" / "cow.png").parent
    photo(folder / "other.jpg")
    before = files(folder)
    for more in ([], ["--replace"]):
        code, _, err = wilss("predict", checkpoint, folder / "other.jpg", folder / "cow.png", "-o", folder, *more)
        assert (code, "is one of the images and would be replaced" in err) == (2, True), err
        assert files(folder) == before
    code, _, err = wilss("predict", checkpoint, folder / "other.jpg", "-o", folder)
    assert code == 0, err
    assert {name: files(folder)[name] for name in before} == before


def test_results_that_are_there_stay_unless_told(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    image, out = photo(tmp_path / "a.jpg"), tmp_path / "out"
    out.mkdir()
    (out / "a-overlay.png").write_text("mine")
    code, _, err = wilss("predict", checkpoint, image, "-o", out)
    assert (code, "add --replace" in err) == (2, True)
    assert files(out) == {"a-overlay.png": b"mine"}
    assert wilss("predict", checkpoint, image, "-o", out, "--replace")[0] == 0
    assert Image.open(out / "a-overlay.png").size == (30, 40)


def test_every_image_has_results_of_its_own(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    names = ("a.jpg", "a.png", "x/a.jpg", "a-overlay.png", "A.bmp", "x" * 240 + ".jpg", "猫" * 80 + ".png", "-y.png")
    images = [photo(tmp_path / "in" / name, seed) for seed, name in enumerate(names)]
    code, out, err = wilss("predict", checkpoint, *images, "-o", tmp_path / "out")
    assert code == 0, err
    results = [Path(line) for line in out.split()]
    assert len(set(results)) == len(list((tmp_path / "out").glob("[!.]*.png"))) / 2 == len(names)
    model = Model.open(checkpoint, torch.device("cpu"))
    for image, result in zip(images, results, strict=True):
        assert np.array_equal(np.asarray(Image.open(result)), model.predict(image).numpy())
        assert result.with_name(f"{result.stem}-overlay.png").is_file()
    assert f"the result of '{images[1]}' is called 'a-2.png'" in err


def test_a_folder_stands_for_its_images(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = photo(tmp_path / "photos" / "b.JPG").parent
    photo(folder / "a.png")
    photo(folder / "deeper" / "c.png")
    (folder / "Thumbs.db").touch()
    (folder / "._a.png").write_bytes(b"\0\5\26\7")
    photo(folder / ".hidden" / "d.png")
    code, out, err = wilss("predict", checkpoint, folder, folder / "a.png", "-o", tmp_path / "out")
    assert code == 0, err
    assert [str(Path(line).relative_to(tmp_path / "out")) for line in out.split()] == ["a.png", "b.png", "deeper/c.png"]
    assert (tmp_path / "out" / "deeper" / "c-overlay.png").is_file()
    assert "passed over 2 files" in err
    (tmp_path / "empty").mkdir()
    code, _, err = wilss("predict", checkpoint, tmp_path / "empty", "-o", tmp_path / "out2")
    assert (code, "empty' holds no image" in err) == (2, True)
    assert not (tmp_path / "out2").exists()


def test_broken_files_are_told_and_the_others_written(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    whole = photo(tmp_path / "whole.png", size=(200, 200))
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:-60_000])
    (tmp_path / "none.jpg").write_text("no image")
    images = [tmp_path / "cut.png", tmp_path / "none.jpg", whole]
    code, _, err = wilss("predict", checkpoint, *images, "-o", tmp_path / "out")
    assert code == 3
    assert set(files(tmp_path / "out")) == {*TABLES, "whole.png", "whole-overlay.png"}
    assert err.splitlines()[-1].startswith("wilss: 2 of 3 images cannot be decoded and have no result: ")
    assert "--skip" not in err
    code, out, err = wilss("predict", checkpoint, *images[:2], "-o", tmp_path / "none")
    assert (code, out) == (3, "")
    assert err.splitlines()[-1].startswith("wilss: none of 2 images can be decoded, so there is no result: ")


def test_what_is_not_there_is_said_before_anything_is_written(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    photo(tmp_path / "a.png")
    (tmp_path / "link.jpg").symlink_to("gone.jpg")
    for name, told in (("b.png", "b.png' does not exist"), ("link.jpg", "is a link to a file that does not exist")):
        code, _, err = wilss("predict", checkpoint, tmp_path / "a.png", tmp_path / name, "-o", tmp_path / "out")
        assert (code, told in err) == (2, True), err
        assert not (tmp_path / "out").exists()


def test_names_move_no_terminal(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    image = photo(tmp_path / "a\x1b[2Jb.png")
    code, out, err = wilss("predict", checkpoint, image, "-o", tmp_path / "o\x1b[1m")
    assert code == 0, err
    assert "\x1b" not in out + err
    assert wilss("predict", checkpoint, tmp_path / "lost\x1b[2J.png", "-o", tmp_path / "o")[2].count("\x1b") == 0


def test_windows_of_a_large_photograph_give_what_the_whole_gives(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model.open(checkpoint, torch.device("cpu"))
    large = Image.open(photo(tmp_path / "a.png", size=(61, 83))).resize((1100, 777))
    image = torch.from_numpy(np.array(large)).permute(2, 0, 1)
    whole = model.predict(image)
    monkeypatch.setattr(seeing, "LARGE", 0)
    windows = model.predict(image)
    assert len(whole.unique()) > 1
    assert (windows.shape, windows.dtype) == (whole.shape, torch.uint8)
    assert int((windows != whole).sum()) <= 4, "only where two outputs are as good as equal"
    drawn = predict_write.drawn_over(image, whole, model.palette)
    assert np.array_equal(np.asarray(drawn), overlay(image, whole, own=model.palette).permute(1, 2, 0).numpy())
    counts = predict_write.count_pixels(whole)
    assert counts == {int(k): int((whole == k).sum()) for k in whole.unique()}


def rows(out: Path, name: str = "predictions.csv") -> list[dict[str, str]]:
    with (out / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_tell_shares_and_colours(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    images = [photo(tmp_path / "in" / f"{k}.png", k) for k in range(3)]
    code, _, err = wilss("predict", checkpoint, tmp_path / "in", "-o", tmp_path / "out")
    assert code == 0, err
    table = rows(tmp_path / "out")
    assert [row["path"] for row in table] == [str(path) for path in images]
    for row in table:
        labels = np.asarray(Image.open(tmp_path / "out" / row["result"]))
        assert (int(row["width"]), int(row["height"])) == labels.shape[::-1] == (30, 40)
        for class_id, name in enumerate(("background", "a", "b")):
            assert float(row[name]) == pytest.approx(100 * (labels == class_id).mean(), abs=1e-3)
    legend = [(row["id"], row["class"], row["colour"]) for row in rows(tmp_path / "out", "legend.csv")]
    assert legend == [("0", "background", "#000000"), ("1", "a", "#800000"), ("2", "b", "#008000")]
    share = np.mean([float(row["background"]) for row in table])
    line = next(line for line in err.splitlines() if line.startswith("background"))
    assert line.split()[1] == "#000000"
    assert float(line.split()[2]) == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ((), {"a.png", "a-overlay.png"}),
        (("--no-overlay",), {"a.png"}),
        (("--format", "overlay"), {"a-overlay.png"}),
        (("--format", "coco"), {"predictions.json", "a-overlay.png"}),
        (("--format", "coco", "--no-overlay"), {"predictions.json"}),
    ],
)
def test_only_what_is_asked_for_is_written(  # type: ignore[no-untyped-def]
    wilss, checkpoint: Path, tmp_path: Path, options: tuple[str, ...], left: set[str]
) -> None:
    code, out, err = wilss("predict", checkpoint, photo(tmp_path / "a.jpg"), "-o", tmp_path / "out", *options)
    assert code == 0, err
    assert set(files(tmp_path / "out")) == TABLES | left
    assert {Path(line).name for line in out.split()} <= left
    assert out


def test_options_that_leave_nothing_or_cannot_be_are_refused(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    image = photo(tmp_path / "a.jpg")
    for options, told in (
        (("--format", "overlay", "--no-overlay"), "leave nothing to write"),
        (("--batch", 0), "--batch is 0"),
        (("--window", 10), "give 64 or more"),
        (("--window", 64, "--overlap", 1), "from 0 to 0.9"),
        (("--device", "tpu"), "device 'tpu' is not available here"),
    ):
        code, _, err = wilss("predict", checkpoint, image, "-o", tmp_path / "out", *options)
        assert (code, told in err) == (2, True), err
    assert not (tmp_path / "out").exists()


def test_coco_holds_what_the_palette_shows(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = photo(tmp_path / "in" / "a.png").parent
    photo(folder / "deeper" / "a.png", 1, (61, 83))
    assert wilss("predict", checkpoint, folder, "-o", tmp_path / "png")[0] == 0
    assert wilss("predict", checkpoint, folder, "-o", tmp_path / "coco", "--format", "coco")[0] == 0
    content = json.loads((tmp_path / "coco" / "predictions.json").read_text())
    assert content["categories"] == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    assert [image["file_name"] for image in content["images"]] == ["a.png", "deeper/a.png"]
    assert len({annotation["id"] for annotation in content["annotations"]}) == len(content["annotations"]) > 1
    for image in content["images"]:
        labels = np.asarray(Image.open(tmp_path / "png" / image["file_name"]))
        drawn = np.zeros((image["height"], image["width"]), np.uint8)
        for one in content["annotations"]:
            if one["image_id"] == image["id"]:
                mask = coco_mask.decode(one["segmentation"]).astype(bool)
                assert one["area"] == mask.sum() > 0
                drawn[mask] = one["category_id"]
        assert np.array_equal(drawn, labels)


def test_outlines_keep_holes_and_what_lies_in_them() -> None:
    labels = torch.zeros(40, 50, dtype=torch.uint8)
    labels[5:30, 5:40], labels[10:20, 10:30], labels[12:15, 12:15] = 3, 0, 3
    labels[16:18, 20:22] = 254
    found = predict_write.outlines_of(labels)
    assert [one["category_id"] for one in found] == [3, 254]
    for one in found:
        mask = coco_mask.decode(one["segmentation"])
        assert np.array_equal(mask == 1, (labels == one["category_id"]).numpy())
        assert one["bbox"] == ([5, 5, 35, 25] if one["category_id"] == 3 else [20, 16, 2, 2])


@pytest.mark.parametrize("batch", [2, 5])
def test_batches_give_what_single_images_give(wilss, checkpoint: Path, tmp_path: Path, batch: int) -> None:  # type: ignore[no-untyped-def]
    sizes = [(40, 30), (30, 40), (40, 30), (200, 90), (40, 30), (400, 180), (30, 40)]  # two are alike once shrunk
    for k, size in enumerate(sizes):
        photo(tmp_path / "in" / f"{k}.png", k, size)
    assert wilss("predict", checkpoint, tmp_path / "in", "-o", tmp_path / "one")[0] == 0
    code, out, err = wilss("predict", checkpoint, tmp_path / "in", "-o", tmp_path / "many", "--batch", batch)
    assert code == 0, err
    assert len(out.split()) == len(sizes)
    one, many = files(tmp_path / "one"), files(tmp_path / "many")
    assert {name: one[name] for name in one if name.endswith(".png")} == {
        name: many[name] for name in many if name.endswith(".png")
    }


def test_other_ways_to_look_are_those_of_python(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    image = photo(tmp_path / "a.png", size=(150, 200))
    model = Model.open(checkpoint, torch.device("cpu"))
    ways = {
        "tta": (("--tta",), {"tta": True}),
        "window": (("--window", 64, "--overlap", 0.5), {"window": 64, "overlap": 0.5}),
    }
    for name, (options, given) in ways.items():
        code, out, err = wilss("predict", checkpoint, image, "-o", tmp_path / name, *options)
        assert code == 0, err
        assert np.array_equal(np.asarray(Image.open(out.strip())), model.predict(image, **given).numpy())  # type: ignore[call-overload]
        assert not np.array_equal(np.asarray(Image.open(out.strip())), model.predict(image).numpy())


def test_the_device_of_the_environment_is_taken(  # type: ignore[no-untyped-def]
    wilss, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WILSS_DEVICE", "tpu")
    arguments = ("predict", checkpoint, photo(tmp_path / "a.png"), "-o", tmp_path / "out")
    code, _, err = wilss(*arguments)
    assert (code, "device 'tpu' is not available here" in err) == (2, True)
    assert wilss(*arguments, "--device", "cpu")[0] == 0


def test_progress_tells_images_a_second(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    err = wilss("predict", checkpoint, photo(tmp_path / "a.png"), "-o", tmp_path / "out")[2]
    assert re.search(r"predict: [\d.e+-]+ images a second 1/1", err)
