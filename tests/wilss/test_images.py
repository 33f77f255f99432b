"""Odd image files: each is decoded as people expect, or refused in words; and co-segmentation takes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wilss.data.files import read_rgb
from wilss.data.images import to_canvas
from wilss.errors import DataError
from wilss.foundation.cosegment import cosegment
from wilss.foundation.seeds import seed_noise
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.zoo import build_grouper, build_scorer


def test_grey_and_cmyk_become_rgb(tmp_path: Path) -> None:
    Image.new("L", (5, 4), 77).save(tmp_path / "grey.png")
    Image.new("CMYK", (5, 4), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg")
    assert read_rgb(tmp_path / "grey.png").unique().tolist() == [77]
    red = read_rgb(tmp_path / "cmyk.jpg").float().mean((1, 2))
    assert red[0] > 200
    assert red[1] < 60


def test_sixteen_bits_are_scaled_not_cut_off(tmp_path: Path) -> None:
    values = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert read_rgb(tmp_path / "deep.png")[0].tolist() == [[0, 100, 255]]


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jpg"
    Image.effect_noise((64, 64), 50).save(whole)
    (tmp_path / "half.jpg").write_bytes(whole.read_bytes()[:700])
    with pytest.raises(DataError, match=r"half\.jpg' cannot be decoded"):
        read_rgb(tmp_path / "half.jpg")


def test_a_claim_of_too_many_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="shrink it first"):
        read_rgb(tmp_path / "bomb.png")


@pytest.mark.parametrize("size", [(1, 1), (12_000, 3), (12_000, 9_000)])
def test_from_one_pixel_to_twelve_thousand(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (200, 30, 30)).save(tmp_path / "image.jpg")
    decoded = read_rgb(tmp_path / "image.jpg")
    assert tuple(decoded.shape) == (3, size[1], size[0])
    image = to_canvas(decoded, 96)
    assert max(image.shape[-2:]) <= 96
    spec = FoundationSpec()
    labels = cosegment(
        image[None].float() / 255,
        torch.tensor([[True, False]]),
        [["star"], ["tree"]],
        [],
        build_scorer(spec),
        build_grouper(spec),
        spec.cosegment.model_copy(update={"refine": "guided"}),
        seed_noise(["one"], 2, spec.cosegment.n_seeds, 0),
    )
    assert labels.refined.shape == (1, 2, *image.shape[-2:])
    assert not labels.refined[0, 1].any()
