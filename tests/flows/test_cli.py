"""The command line: one clear message and exit code 2 for what a user can mend, and nothing half-published."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from flows.cli.printing import say_next
from stores.labels.sets import LabelSet
from tests.wilss.models.cards import SPEC, student_card, write_student_of_format_1
from wilss.data.voc import VocSource, save_palette_png
from wilss.models.files import save_model
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter


def voc_folder(root: Path, n: int = 6) -> Path:
    """A tiny VOC folder: squares of class 1 and 16, n images to train on and six to score on."""
    for name in ("JPEGImages", "SegmentationClassAug", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    ids = [f"2007_{i:06d}" for i in range(n + 6)]
    for i, image_id in enumerate(ids):
        mask = torch.zeros(40, 48, dtype=torch.uint8)
        mask[5:25, 5:25] = 1 if i % 2 else 16
        image = np.full((40, 48, 3), 60, np.uint8)
        image[mask.numpy() > 0] = 200
        Image.fromarray(image).save(root / "JPEGImages" / f"{image_id}.jpg")
        save_palette_png(mask, root / "SegmentationClassAug" / f"{image_id}.png")
    for split, listed in (("train_aug", ids[:n]), ("dev", ids[n:])):
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(listed))
    return root


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "scenes-15-6"], "unknown benchmark 'scenes-15-6'. Did you mean 'scenes-15-5'?"),
        (["run", "scenes-15-5", "--method", "fmwis"], "unknown method 'fmwis'. Did you mean 'fmwiss'?"),
        (["run", "scenes-15-5", "--scenario", "overlapp"], "unknown scenario 'overlapp'. Did you mean 'overlap'?"),
        (["run", "scenes-15-5", "--preset", "dmo"], "unknown preset 'dmo'. Did you mean 'demo'?"),
        (["run", "scenes-15-5", "--set", "studnet.backbone=x"], "unknown key 'studnet'. Did you mean 'student'?"),
        (["run", "scenes-15-5", "--set", "step.epoch=3"], "unknown key 'step.epoch'. Did you mean 'epochs'?"),
        (["run", "scenes-15-5", "--set", "step.epochs=0"], "'step.epochs' is '0': input should be greater"),
        (
            ["run", "scenes-15-5", "--set", "student.aspp_rates=[0]"],
            "'student.aspp_rates.0' is 0: input should be greater",
        ),
        (["run", "scenes-15-5", "--set", "wilson.pamr_dilations=[-1]"], "'wilson.pamr_dilations.0' is -1"),
        (["run", "scenes-15-5", "--set", "fmwiss.paste.min_scale=2"], "paste.min_scale is 2.0, above max_scale 1.25"),
        (
            ["run", "scenes-15-5", "--set", "fmwiss.teacher=false", "step.tuning=frozen"],
            "add --set fmwiss.warmup_epochs=0",
        ),
        (
            ["run", "scenes-15-5", "--set", "fmwiss.teacher=0", "fmwiss.encoder_weight=0"],
            "nothing is trained in the 2 epochs",
        ),
        (["run", "scenes-15-5", "--set", "fmwiss.teacher=0", "fmwiss.teacher_sure=0.2"], "are of a teacher, and"),
        (["run", "scenes-15-5", "--set", "fmwiss.arbitrate_labels=true"], "decides, which is none"),
        (["run", "scenes-15-5", "--set", "step.epochs=2"], "add --set fmwiss.warmup_epochs=1"),
        (["run", "scenes-15-5", "--again", "lables"], "'lables' is no stage that could be made again here. Did you"),
        (["compare", "scenes-15-5", "--again", "step-2"], "'step-2' is no stage that could be made again here"),
        (["run", "scenes-15-5", "--set", "fmwiss.alpha"], "is no assignment; write --set section.key=value"),
        (["run", "scenes-15-5", "--set", "student.backbone=resnet51"], "timm has no model 'resnet51'"),
        (["run", "scenes-15-5", "--device", "cuda:7"], "device 'cuda:7' is not available here"),
        (["run", "scenes-15-5", "--memory", "1MB"], "'memory' is '1MB', less than the 512 MiB of PyTorch alone"),
        (["run", "scenes-15-5", "--memory", "much"], "'memory' is 'much', which is no size such as 2GiB or 800MB"),
        (["run", "scenes-15-5", "--labels-csv", "t.csv"], "'t.csv' would be ignored: only VOC's image-level labels"),
        (["run", "voc-15-5"], "give the VOC folder (the one that holds JPEGImages) with --data DIR"),
        (["run", "voc-15-5", "--data", "nowhere"], "'nowhere' is no VOC folder: 'JPEGImages' is missing. Expected"),
        (["labels", "show", "abc"], "'abc' does not exist among the labels"),
        (["labels", "export", "abc", "--to", "x"], "'abc' does not exist among the labels"),
        (["predict", "abc", "x.jpg", "-o", "out"], "'abc' does not exist among the checkpoints"),
    ],
)
def test_mistakes_are_named(wilss, tmp_path: Path, prefect_backend: None, arguments: list[str], message: str) -> None:  # type: ignore[no-untyped-def]
    extra = ["--root", tmp_path / "root"]
    code, _, err = wilss(*arguments, *extra)
    assert code == 2
    assert message in err
    assert "Traceback" not in err.split("wilss:")[-1]
    assert not list(tmp_path.rglob("manifest.json"))


def break_jpeg(root: Path) -> str:
    path = root / "JPEGImages" / "2007_000002.jpg"
    path.write_bytes(path.read_bytes()[:200])
    return f"'{path}' cannot be decoded as an image"


def remove_image(root: Path) -> str:
    path = root / "JPEGImages" / "2007_000002.jpg"
    path.unlink()
    return f"'{path}' does not exist"


def unknown_value(root: Path) -> str:
    save_palette_png(torch.full((40, 48), 77, dtype=torch.uint8), root / "SegmentationClassAug" / "2007_000003.png")
    return "holds the value 77; allowed are 0 (background), 1 to 20 (the classes in order) and 255 (void)"


def colour_mask(root: Path) -> str:
    path = root / "SegmentationClassAug" / "2007_000003.png"
    Image.new("RGB", (48, 40), (1, 2, 3)).save(path)
    return f"'{path}' has mode RGB and 1 colours, of which (1, 2, 3) is none of VOC's colours"


def other_size(root: Path) -> str:
    save_palette_png(torch.zeros(10, 10, dtype=torch.uint8), root / "SegmentationClassAug" / "2007_000003.png")
    return "they must have the same size"


def empty_list(root: Path) -> str:
    (root / "ImageSets" / "Segmentation" / "dev.txt").write_text("\n")
    return "is empty; it needs one image id a line"


def repeated_line(root: Path) -> str:
    path = root / "ImageSets" / "Segmentation" / "train_aug.txt"
    path.write_text(path.read_text() + "\n2007_000001")
    return f"'{path}' lists images more than once (1, first '2007_000001')"


def scored_image_in_training(root: Path) -> str:
    path = root / "ImageSets" / "Segmentation" / "train_aug.txt"
    path.write_text(path.read_text() + "\n2007_000008")
    return "train_aug.txt' holds images of 'dev', which is scored on (1, first '2007_000008')"


DAMAGE = [break_jpeg, remove_image, unknown_value, colour_mask, other_size, empty_list, repeated_line]


@pytest.mark.parametrize("damage", [*DAMAGE, scored_image_in_training])
def test_bad_data_stop_the_run_before_training(wilss, tmp_path: Path, prefect_backend: None, damage) -> None:  # type: ignore[no-untyped-def]
    root = voc_folder(tmp_path / "voc")
    message = damage(root)
    code, _, err = wilss("run", "voc-15-5", "--data", root, "--preset", "tiny", "--root", tmp_path / "out")
    assert code == 2
    assert message in err
    assert not list((tmp_path / "out").rglob("manifest.json"))


def test_unreadable_images_can_be_left_out(wilss, tmp_path: Path, prefect_backend: None) -> None:  # type: ignore[no-untyped-def]
    root = voc_folder(tmp_path / "voc", 24)
    break_jpeg(root)
    options = ["--preset", "tiny", "--set", "fmwiss.memory.min_pixels=16", "--skip-unreadable"]
    # clip:scenes knows no photographs; what counts here is that the run ends
    code, out, err = wilss("run", "voc-15-5", "--data", root, *options, "--root", tmp_path / "out")
    assert code == 0, err
    assert "left out 1 unreadable image" in err
    assert "report:" in out


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "2007_000001,aeroplane aeroplan",
            "'{csv}:3' names the class 'aeroplan', which is none, in 1 row(s); correct it",
        ),
        ("2007_000000,aeroplane", "'{csv}:3' repeats image id '2007_000000'"),
        (",aeroplane", "'{csv}:3' has no image id"),
        ("2009_000001,aeroplane", "'{csv}:3' names image '2009_000001', which is not in"),
        ("2007_000001,aeroplane", "no row for 4 images of the training list 'train_aug', first '2007_000002'"),
    ],
)
def test_bad_labels_name_their_row(wilss, tmp_path: Path, prefect_backend: None, row: str, message: str) -> None:  # type: ignore[no-untyped-def]
    root, table = voc_folder(tmp_path / "voc"), tmp_path / "labels.csv"
    table.write_text(f"image_id,labels\n2007_000000,pottedplant\n{row}\n")
    code, _, err = wilss(
        "run", "voc-15-5", "--data", root, "--labels-csv", table, "--preset", "tiny", "--root", tmp_path / "out"
    )
    assert code == 2
    assert message.format(csv=table) in err


def test_a_table_of_labels_names_training_images_only(tmp_path: Path) -> None:
    root, table = voc_folder(tmp_path / "voc"), tmp_path / "labels.csv"
    rows = [f"2007_{i:06d},aeroplane dog" for i in range(6)]
    table.write_text("\n".join(["image_id,labels", *rows]))
    source = VocSource(root, eval_list="dev", labels_csv=table)
    assert source.tags("train") == ((1, 12),) * 6
    assert source.tags("eval") == VocSource(root, eval_list="dev").tags("eval") == ((16,), (1,)) * 3


def test_runs_labels_and_predict(wilss, tmp_path: Path, prefect_backend: None) -> None:  # type: ignore[no-untyped-def]
    root = tmp_path / "root"
    code, out, _ = wilss("runs", "--root", root)
    assert (code, "no runs yet" in out) == (0, True)
    code, out, err = wilss("run", "scenes-15-5", "--preset", "tiny", "--root", root)
    assert code == 0, err
    (report_path,) = (root / "runs").glob("*/report.json")
    report = json.loads(report_path.read_text())
    assert str(report_path.with_suffix(".html")) in out.replace("\n", "")
    code, out, _ = wilss("runs", "--root", root)
    assert "scenes-15-5" in out
    assert "convention C" in out
    code, out, _ = wilss("labels", "list", "--root", root)
    sets = [entry["digest"] for entry in report["label_sets"]]
    assert all(digest[:12] in out for digest in sets)

    code, out, err = wilss("labels", "show", sets[0][:10], "--root", root)
    assert code == 0, err
    assert Image.open(out.strip()).width > 400
    ids = LabelSet.open(root / "labels" / sets[0][:2] / sets[0]).index.ids
    code, out, _ = wilss("labels", "show", sets[1], "--image", ids[0], "--root", root, "-o", tmp_path / "one.png")
    assert Image.open(tmp_path / "one.png").height < 300
    code, _, err = wilss("labels", "show", sets[0], "--image", "train-9", "--root", root)
    assert code == 2
    assert "is not in this label set" in err

    code, out, _ = wilss("labels", "export", sets[0], "--to", tmp_path / "png", "--root", root)
    pngs = sorted((tmp_path / "png").glob("*.png"))
    assert len(pngs) == len(ids)
    first = Image.open(pngs[0])
    assert first.mode == "P"
    assert first.size == (64, 64)
    assert set(np.unique(np.asarray(first)).tolist()) <= {0, 16, 17, 18, 19, 20}
    code, _, err = wilss("labels", "export", sets[0], "--to", tmp_path / "x", "--stage", "fina", "--root", root)
    assert code == 2
    assert "has no stage 'fina'" in err
    code, _, err = wilss("labels", "export", sets[0], "-o", tmp_path / "png", "--root", root)
    assert code == 2
    assert "is there already" in err
    code, out, err = wilss("labels", "import", tmp_path / "png", "--parent", sets[0][:12], "--root", root)
    assert code == 0, err
    child = re.search(r"label_sets\.1=(\w+)", out)
    assert child
    code, out, _ = wilss("labels", "list", "--root", root)
    assert re.search(f"{child[1]}.*child.*{sets[0][:12]}", out)
    assert re.search(f"{sets[0][:12]}.*co-segmented.*clip:scenes", out)
    assert "teacher" in out
    code, out, err = wilss("labels", "stats", sets[0], "--root", root, "--json")
    assert code == 0, err
    stats = json.loads(out)
    assert stats["by_class"]["ring"]["iou"] > 0
    scores = [row["score"] for row in stats["worst"]]
    assert scores == sorted(scores)
    code, out, _ = wilss("labels", "stats", child[1], "--root", root)
    assert code == 0
    assert "worst masks" in out

    image = tmp_path / "photo.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8)).save(image)
    checkpoint = report["artefacts"]["checkpoint 1"]
    code, out, err = wilss("predict", checkpoint, image, "-o", tmp_path / "pred", "--root", root)
    assert code == 0, err
    assert Image.open(tmp_path / "pred" / "photo.png").size == (70, 50)
    assert Image.open(tmp_path / "pred" / "photo-overlay.png").size == (70, 50)
    (tmp_path / "bad.jpg").write_text("no image")
    code, _, err = wilss("predict", checkpoint, image, tmp_path / "bad.jpg", "-o", tmp_path / "none", "--root", root)
    assert code == 3
    assert "bad.jpg' cannot be decoded" in err
    assert (tmp_path / "none" / "photo.png").is_file()


@pytest.mark.parametrize("write", [save_model, write_student_of_format_1])
def test_predict_from_a_checkpoint_folder(wilss, tmp_path: Path, write: Callable[..., None]) -> None:  # type: ignore[no-untyped-def]
    model = build_segmenter(SPEC, find_weights("resnet_scenes", "none", None), (2,))
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    own = {"colours": ((1, 2, 3), (4, 5, 6))} if write is save_model else {}
    write(model.state_dict(), student_card(**own), folder)
    Image.new("L", (33, 21)).save(tmp_path / "grey.png")
    code, _, err = wilss("predict", folder, tmp_path / "grey.png", "-o", tmp_path / "out")
    assert code == 0, err
    found = Image.open(tmp_path / "out" / "grey.png")
    assert found.size == (33, 21)
    assert found.getpalette()[3:9] == ([1, 2, 3, 4, 5, 6] if own else [128, 0, 0, 0, 128, 0]), "colours of the card"
    shutil.rmtree(folder)


def test_help_is_quick_and_lists_the_commands() -> None:
    done = subprocess.run([sys.executable, "-m", "flows.cli", "--help"], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in ("demo", "run", "step", "labels", "runs", "predict"))
    loaded = subprocess.run(
        [sys.executable, "-c", "import flows.cli, sys; print({'torch', 'prefect', 'timm'} & set(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "set()"


def test_a_gpu_without_memory_is_a_sentence(wilss, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    def fail_with(error: Exception) -> None:
        def show(*given: object) -> None:
            raise error

        monkeypatch.setattr("stores.labels.look.show_labels", show)

    fail_with(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"))
    code, _, err = wilss("labels", "show", "abc")
    assert code == 2
    assert err.startswith("wilss: the memory of the GPU is used up (CUDA out of memory. Tried to allocate 2.00 GiB.). ")
    assert "step.batch_size=4 (of few-shot: train.batch_size, stage1.batch_size or shapes.train.batch_size)" in err
    fail_with(RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        wilss("labels", "show", "abc")


def test_version_is_that_of_the_package() -> None:
    done = subprocess.run([sys.executable, "-m", "flows.cli", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == importlib.metadata.version("wilss")


def test_a_named_server_that_does_not_answer_is_told(tmp_path: Path) -> None:
    with socket.socket() as probe:  # a port that nobody listens on
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/api"
        command = [sys.executable, "-m", "flows.cli", "run", "scenes-15-5", "--preset", "tiny", "--root", tmp_path]
        env = {**os.environ, "PREFECT_API_URL": url}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 2
    assert f"\nwilss: no Prefect server answers at {url} (" in done.stderr
    assert "unset PREFECT_API_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_next_commands_are_found_without_an_activated_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    monkeypatch.chdir(tmp_path)
    say_next(Path("wilss-data"))
    assert "\n  .venv/bin/wilss labels list\n" in capsys.readouterr().out
