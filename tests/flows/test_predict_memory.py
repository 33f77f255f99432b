"""``wilss predict`` on large images keeps within memory: measured in a process of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.peak import peak_of
from tests.wilss.models.cards import SPEC, student_card
from wilss.models.files import save_model
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter

MIB = 1 << 20

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="peaks are read from /proc")


def student(folder: Path, classes: int) -> Path:
    torch.manual_seed(0)
    network = build_segmenter(SPEC, find_weights("resnet_scenes", "none", None), (classes,))
    folder.mkdir()
    names, ids = tuple(f"class {k}" for k in range(classes)), tuple(range(1, classes + 1))
    card = student_card(step_sizes=(classes,), classes=names, class_ids=ids)
    save_model(network.state_dict(), card, folder)
    return folder


def picture(path: Path, width: int, height: int) -> Path:
    row = (np.arange(width) // 7 % 256).astype(np.uint8)
    pixels = np.empty((height, width, 3), np.uint8)
    for channel in range(3):
        pixels[..., channel] = row ^ (np.arange(height)[:, None] // (5 + channel) % 256).astype(np.uint8)
    Image.fromarray(pixels).save(path, compress_level=1)
    return path


def peak(model: Path, image: Path, out: Path, *options: str) -> int:
    """Bytes that the whole command had in memory at most."""
    return peak_of("predict", model, image, "-o", out, "--device", "cpu", *options)


@pytest.mark.timeout(900)
@pytest.mark.slow
def test_windows_take_a_few_bytes_a_pixel_whatever_the_number_of_classes(tmp_path: Path) -> None:
    model = student(tmp_path / "model", 8)
    small = peak(model, picture(tmp_path / "small.png", 600, 500), tmp_path / "small", "--window", "512")
    width, height = 4100, 4100
    options = ("--window", "512", "--overlap", "0")
    large = peak(model, picture(tmp_path / "large.png", width, height), tmp_path / "large", *options)
    assert Image.open(tmp_path / "large" / "large.png").size == (width, height)
    assert large - small < 16 * width * height, "image, labels and overlay; all classes would be 36 bytes a pixel more"


@pytest.mark.slow
@pytest.mark.whole
@pytest.mark.timeout(7200)
def test_twelve_thousand_by_nine_thousand_pixels_within_two_gigabytes(tmp_path: Path) -> None:
    model = student(tmp_path / "model", 20)
    found = peak(model, picture(tmp_path / "large.png", 12_000, 9_000), tmp_path / "out", "--window", "512")
    print(f"peak: {found / MIB:.0f} MiB")
    assert Image.open(tmp_path / "out" / "large-overlay.png").size == (12_000, 9_000)
    assert found < 2048 * MIB
