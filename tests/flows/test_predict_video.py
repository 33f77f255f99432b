"""``wilss predict`` on videos: real files, written and read by PyAV."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.flows.conftest import photo
from wilss.models.model import Model

av = pytest.importorskip("av")


def video(path: Path, frames: int = 7, size: tuple[int, int] = (64, 48), rate: int = 10, sound: bool = False) -> Path:
    """Frames that grow lighter one by one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = *size, "yuv420p", 4_000_000
        for number in range(frames):
            pixels = np.full((size[1], size[0], 3), 20 + 25 * number, np.uint8)
            pixels[:, : size[0] // 2, 0] = 250
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def decoded(path: Path) -> list[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        return [(float(f.pts * f.time_base), f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


def test_a_video_becomes_a_video_with_its_classes(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path, out = video(tmp_path / "in" / "clip.mp4"), tmp_path / "out"
    code, printed, err = wilss("predict", checkpoint, path, photo(tmp_path / "a.png"), "-o", out, "--frame-masks")
    assert code == 0, err
    assert [Path(line).name for line in printed.split()] == ["a.png", "clip-overlay.mp4"]
    assert "7 frames of" in err
    before, after = decoded(path), decoded(out / "clip-overlay.mp4")
    assert [at for at, _ in after] == pytest.approx([at for at, _ in before], abs=1e-3)
    assert {frame.shape for _, frame in after} == {(48, 64, 3)}
    masks = sorted((out / "clip-masks").iterdir())
    assert [one.name for one in masks] == [f"{k:06d}.png" for k in range(7)]
    model, shares = Model.open(checkpoint, torch.device("cpu")), np.zeros(3)
    for (_, frame), mask in zip(before, masks, strict=True):
        labels = np.asarray(Image.open(mask))
        assert np.array_equal(labels, model.predict(frame).numpy())
        shares += [(labels == k).mean() for k in range(3)]
    with (out / "predictions.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[-1]
    assert row["result"] == "clip-overlay.mp4"
    assert [float(row[name]) for name in ("background", "a", "b")] == pytest.approx(100 * shares / 7, abs=1e-2)
    code, printed, err = wilss("predict", checkpoint, path, "-o", out, "--frame-masks")
    assert (code, printed) == (0, ""), err
    assert not list(out.glob("*.partial"))


def test_every_second_frame_keeps_its_time_and_batches_change_nothing(  # type: ignore[no-untyped-def]
    wilss, checkpoint: Path, tmp_path: Path
) -> None:
    path = video(tmp_path / "clip.mp4", size=(66, 46))
    for name, more in (("one", ()), ("many", ("--batch", 3))):
        arguments = ("predict", checkpoint, path, "-o", tmp_path / name, "--every", 2, "--frame-masks", *more)
        code, _, err = wilss(*arguments)
        assert code == 0, err
        after = decoded(tmp_path / name / "clip-overlay.mp4")
        assert [at for at, _ in after] == pytest.approx([0, 0.2, 0.4, 0.6], abs=1e-3)
    masks = [{one.name: one.read_bytes() for one in (tmp_path / k / "clip-masks").iterdir()} for k in ("one", "many")]
    assert sorted(masks[0]) == ["000000.png", "000002.png", "000004.png", "000006.png"]
    assert masks[0] == masks[1]


def test_a_folder_of_somebody_is_never_taken_for_masks(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    mine = photo(tmp_path / "out" / "clip-masks" / "mine.png")
    arguments = ("predict", checkpoint, video(tmp_path / "clip.mp4"), "-o", tmp_path / "out", "--frame-masks")
    code, _, err = wilss(*arguments, "--replace")
    assert (code, "is a folder and no result of this command" in err) == (2, True), err
    assert mine.is_file()


def test_odd_sides_are_made_even(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "odd.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = 33, 21, "bgr0"
        for _ in range(2):
            frame = av.VideoFrame.from_ndarray(np.full((21, 33, 3), 90, np.uint8), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        container.mux(stream.encode())
    code, _, err = wilss("predict", checkpoint, path, "-o", tmp_path / "out", "--frame-masks")
    assert code == 0, err
    assert [frame.shape for _, frame in decoded(tmp_path / "out" / "odd-overlay.mp4")] == [(22, 34, 3)] * 2
    assert Image.open(tmp_path / "out" / "odd-masks" / "000000.png").size == (33, 21)


def test_broken_videos_and_lists_of_files_are_told_and_leave_nothing(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    whole = video(tmp_path / "whole.mp4")
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:300])
    (tmp_path / "none.mov").write_text("no video")
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile '{whole}'\n")
    (tmp_path / "play.mp4").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{whole}\n#EXT-X-ENDLIST\n")
    named = [tmp_path / name for name in ("cut.mp4", "none.mov", "list.mp4", "play.mp4")]
    code, out, err = wilss("predict", checkpoint, *named, "-o", tmp_path / "out", "--frame-masks")
    assert (code, out) == (3, ""), err
    assert "none of 4 images can be decoded" in err
    assert "cannot be decoded as a video" in err
    assert not [path for path in (tmp_path / "out").rglob("*") if "masks" in path.name or path.suffix == ".mp4"]
    assert wilss("predict", checkpoint, *named, whole, "-o", tmp_path / "out")[0] == 3
    assert (tmp_path / "out" / "whole-overlay.mp4").is_file()


def test_what_a_video_cannot_become_is_refused(wilss, checkpoint: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = video(tmp_path / "in" / "clip.mp4")
    for options in (("--format", "coco"), ("--no-overlay",)):
        code, _, err = wilss("predict", checkpoint, path, "-o", tmp_path / "out", *options)
        assert (code, "a video becomes a video with overlays" in err) == (2, True), err
    assert wilss("predict", checkpoint, path, "-o", tmp_path / "out", "--every", 0)[0] == 2
    code, _, err = wilss("predict", checkpoint, path.parent, "-o", tmp_path / "out")
    assert (code, "holds no image" in err) == (2, True), err
    photo(path.parent / "a.png")
    code, out, err = wilss("predict", checkpoint, path.parent, "-o", tmp_path / "out")
    assert (code, len(out.split())) == (0, 1)
    assert "videos; name them to have them labelled: clip.mp4" in err


def test_without_the_extra_one_sentence_tells_what_to_install(  # type: ignore[no-untyped-def]
    wilss, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = video(tmp_path / "clip.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    code, _, err = wilss("predict", checkpoint, path, "-o", tmp_path / "out")
    assert code == 2
    assert err.splitlines()[-1].endswith("install it with: pip install 'wilss[video]'")
    assert not (tmp_path / "out").exists()


def test_frames_of_a_turned_video_are_upright() -> None:
    from stores.models.predict_video import _upright

    class Turned:
        rotation = -90

        def to_ndarray(self, format: str) -> np.ndarray:
            return np.arange(12, dtype=np.uint8).reshape(2, 2, 3)

    found = _upright(Turned()).permute(1, 2, 0).numpy()
    assert np.array_equal(found, np.rot90(np.arange(12, dtype=np.uint8).reshape(2, 2, 3), -1))
