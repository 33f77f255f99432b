"""``wilss predict`` on what people really have: odd images, odd folders, patterns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stores.models.predict import Predictions
from tests.flows.conftest import photo
from wilss.data import files as decoding
from wilss.data.files import read_rgb
from wilss.models.model import Model


def odd(folder: Path) -> dict[str, Path]:
    """One image of every odd kind, made here."""
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    plain = Image.fromarray(noise)
    made = {name: folder / name for name in ("pixel.png", "cmyk.jpg", "deep.png", "turned.jpg", "grey.bmp", "bits.png")}
    Image.new("RGB", (1, 1), (200, 20, 20)).save(made["pixel.png"])
    plain.convert("CMYK").save(made["cmyk.jpg"])
    Image.fromarray(noise[..., 0].astype(np.uint16) * 257).save(made["deep.png"])
    exif = Image.Exif()
    exif[0x0112] = 6
    plain.save(made["turned.jpg"], exif=exif)
    plain.convert("L").save(made["grey.bmp"])
    plain.convert("1").save(made["bits.png"])
    return made


def test_odd_images_are_read_as_training_reads_them(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made = odd(tmp_path / "in")
    code, _, err = wilss("predict", checkpoint, tmp_path / "in", "-o", tmp_path / "out")
    assert code == 0, err
    model = Model.open(checkpoint, torch.device("cpu"))
    for path in made.values():
        labels = np.asarray(Image.open(tmp_path / "out" / f"{path.stem}.png"))
        assert labels.shape == tuple(read_rgb(path).shape[1:])
        assert np.array_equal(labels, model.predict(path).numpy()), path
    assert Image.open(tmp_path / "out" / "turned.png").size == (40, 60), "upright"
    assert Image.open(tmp_path / "out" / "turned-overlay.png").size == (40, 60)


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_of_moving_pictures_the_first_is_taken_and_that_is_said(  # type: ignore[no-untyped-def]
    wilss, checkpoint: Path, tmp_path: Path, kind: str
) -> None:
    frames = [Image.new("RGB", (64, 48), colour) for colour in ((250, 10, 10), (10, 250, 10), (10, 10, 250))]
    path = tmp_path / "in" / f"moving.{kind}"
    path.parent.mkdir()
    frames[0].save(path, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "webp" else {}))
    still = tmp_path / "still.png"
    frames[0].save(still)
    code, _, err = wilss("predict", checkpoint, path.parent, "-o", tmp_path / "out")
    assert code == 0, err
    assert f"moving.{kind}' has 3 frames; the first is taken" in err
    overlay = np.asarray(Image.open(tmp_path / "out" / "moving-overlay.png")).astype(int)
    assert overlay[..., 0].mean() > overlay[..., 1].mean()
    wanted = Model.open(checkpoint, torch.device("cpu")).predict(still).numpy()
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "moving.png")), wanted)


def test_one_bit_images_too_large_to_decode_are_told_and_others_done(  # type: ignore[no-untyped-def]
    wilss, checkpoint: Path, tmp_path: Path
) -> None:
    Image.new("1", (20_000, 10_000)).save(tmp_path / "plan.png")
    code, _, err = wilss(
        "predict", checkpoint, tmp_path / "plan.png", photo(tmp_path / "a.png"), "-o", tmp_path / "out"
    )
    assert code == 3
    assert "plan.png' is larger than" in err
    assert "1 of 2 images cannot be decoded" in err
    assert (tmp_path / "out" / "a.png").is_file()


def test_a_large_one_bit_image_is_segmented_whole(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    plan = Image.new("1", (9_000, 3_000))
    plan.paste(1, (100, 100, 8_000, 2_000))
    plan.save(tmp_path / "plan.png")
    code, _, err = wilss("predict", checkpoint, tmp_path / "plan.png", "-o", tmp_path / "out", "--no-overlay")
    assert code == 0, err
    assert Image.open(tmp_path / "out" / "plan.png").size == (9_000, 3_000)


def test_links_in_circles_and_hidden_files(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = photo(tmp_path / "in" / "x" / "a.png").parent.parent
    (folder / "x" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "again").symlink_to(folder / "x", target_is_directory=True)
    (folder / "gone.png").symlink_to("nothing.png")
    photo(folder / ".b.png")
    photo(folder / ".cache" / "c.png")
    photo(tmp_path / "elsewhere" / "d.png")
    (folder / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    code, out, err = wilss("predict", checkpoint, folder, "-o", tmp_path / "out")
    assert code == 0, err
    names = sorted(str(Path(line).relative_to(tmp_path / "out")) for line in out.split())
    assert names == ["again/a.png", "linked/d.png"], "each image once"
    code, out, _ = wilss("predict", checkpoint, folder / ".b.png", "-o", tmp_path / "named")
    assert (code, Path(out.strip()).name) == (0, "b.png"), "named, and no hidden result"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**/*.jpg", {"a", "x/b", "x/y/c"}),
        ("*.jpg", {"a"}),
        ("x/*", {"b"}),
        ("*/?.jpg", {"x/b"}),
        ("x/**/[!b].jpg", {"y/c"}),
        ("**", {"a", "x/b", "x/y/c", "d"}),
        ("[ad].*", {"a", "d"}),
    ],
)
def test_patterns_mean_what_a_shell_means(  # type: ignore[no-untyped-def]
    wilss, checkpoint: Path, tmp_path: Path, pattern: str, found: set[str]
) -> None:
    folder = tmp_path / "in"
    for name in ("a.jpg", "x/b.jpg", "x/y/c.jpg", "d.png", ".e.jpg", ".f/g.jpg"):
        photo(folder / name)
    (folder / "notes.txt").touch()
    code, out, err = wilss("predict", checkpoint, folder / pattern, "-o", tmp_path / "out", "--no-overlay")
    assert code == 0, err
    assert {str(Path(line).relative_to(tmp_path / "out").with_suffix("")) for line in out.split()} == found


def test_a_pattern_that_fits_nothing_is_told(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    photo(tmp_path / "in" / "a.png")
    for pattern, told in (("in/*.jpg", "fits no image and no video"), ("none/*.jpg", "there is no folder")):
        code, _, err = wilss("predict", checkpoint, tmp_path / pattern, "-o", tmp_path / "out")
        assert (code, told in err) == (2, True), err
    assert not (tmp_path / "out").exists()


def test_names_of_folders_cannot_leave_the_results(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    photo(tmp_path / "in" / "…" / "a\n.png")
    photo(tmp_path / "in" / "B" / "c.png")
    code, _, err = wilss("predict", checkpoint, tmp_path / "in" / "B" / "..", "-o", tmp_path / "out")
    assert code == 0, err
    results = sorted((tmp_path / "out").rglob("*-overlay.png"))
    assert {path.parent.name for path in results} == {"…", "B"}
    assert not any("\n" in path.name for path in results)


def test_large_images_are_decoded_strip_by_strip_to_the_same_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = odd(tmp_path / "in")
    photo(made.setdefault("tall.png", tmp_path / "in" / "tall.png"), size=(700, 20))
    whole = {name: read_rgb(path) for name, path in made.items()}
    monkeypatch.setattr(decoding, "LARGE", 0)
    for name, path in made.items():
        assert read_rgb(path).equal(whole[name]), name
    given = Image.open(made["turned.jpg"])
    assert decoding.as_rgb(given).equal(whole["turned.jpg"])
    assert given.size == (60, 40), "what somebody gave stays as it was"


@pytest.mark.parametrize("pattern", ["[z-a].png", "[!].png", "[.png"])
def test_patterns_that_are_none_are_told(wilss, checkpoint: Path, tmp_path: Path, pattern: str) -> None:  # type: ignore[no-untyped-def]
    photo(tmp_path / "a.png")
    code, _, err = wilss("predict", checkpoint, tmp_path / pattern, "-o", tmp_path / "out")
    assert code == 2
    assert "Traceback" not in err
    assert pattern in err


def test_two_commands_into_one_folder_forget_nothing_of_each_other(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """The second was begun, and had looked at the folder, before the first one wrote."""
    for name in "ab":
        photo(tmp_path / f"{name}.png")
    root, out = tmp_path / "root", tmp_path / "out"
    waiting = Predictions(str(checkpoint), [tmp_path / "b.png"], out, root, "cpu")
    assert wilss("predict", checkpoint, tmp_path / "a.png", "-o", out)[0] == 0
    assert [path.name for path in waiting.run()] == ["b.png"]
    code, _, err = wilss("predict", checkpoint, tmp_path / "a.png", tmp_path / "b.png", "-o", out)
    assert (code, "2 of 2 are finished" in err) == (0, True)
    assert len((out / "predictions.csv").read_text().splitlines()) == 3
