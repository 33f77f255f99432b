"""``wilss predict``: nothing is replaced, every image has a result of its own, and what is wrong is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stores.models import predict as writing
from tests.flows.conftest import photo
from wilss.models import predict as seeing
from wilss.models.model import Model


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
    assert len(set(results)) == len(list((tmp_path / "out").iterdir())) / 2 == len(names)
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
    code, out, err = wilss("predict", checkpoint, folder, folder / "a.png", "-o", tmp_path / "out")
    assert code == 0, err
    assert [Path(line).name for line in out.split()] == ["a.png", "b.png"]
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
    assert code == 2
    assert set(files(tmp_path / "out")) == {"whole.png", "whole-overlay.png"}
    assert err.splitlines()[-1].startswith("wilss: 2 of 3 images cannot be decoded and have no result: ")
    assert "--skip" not in err


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


def test_one_image_is_in_memory_at_a_time(
    wilss,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    images = [photo(tmp_path / f"{k}.png", k) for k in range(3)]
    seen: list[int] = []
    read = writing.read_rgb

    def counting(path: Path) -> torch.Tensor:
        seen.append(len(list((tmp_path / "out").iterdir())))
        return read(path)

    monkeypatch.setattr(writing, "read_rgb", counting)
    assert wilss("predict", checkpoint, *images, "-o", tmp_path / "out")[0] == 0
    assert seen == [0, 2, 4]


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
    overlay = writing._overlay(model, image, whole)
    monkeypatch.setattr(writing, "BAND", 10_000)
    assert torch.equal(overlay, writing._overlay(model, image, whole))
