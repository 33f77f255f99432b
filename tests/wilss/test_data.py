"""Canvas, crops that move images and labels alike, cell targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wilss.data.augment import draw_view
from wilss.data.files import read_mask, read_rgb
from wilss.data.images import to_canvas
from wilss.data.spec import AugmentSpec
from wilss.errors import DataError, SpecError
from wilss.grid import make_grid
from wilss.learn.schedule import batches_per_epoch, epoch_batches, poly_factor
from wilss.learn.targets import class_shares, layer_shares
from wilss.presets import PRESETS
from wilss.spec import make_spec
from wilss.words import nested


def test_view_moves_images_and_labels_alike_and_stays_inside_the_image() -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor([[40, 64], [64, 30], [64, 64]] * 4)
    labels = torch.full((12, 64, 64), 255, dtype=torch.uint8)
    for row, (height, width) in enumerate(sizes.tolist()):
        labels[row, :height, :width] = torch.arange(height)[:, None] // 8 * 16 + torch.arange(width) // 8
    images = labels[:, None].expand(-1, 3, -1, -1)
    view = draw_view(AugmentSpec(crop=48, min_area=0.4), sizes, generator)
    cropped = view.labels(labels)
    assert set(cropped.unique().tolist()) <= set(labels.unique().tolist()) - {255}  # no padding gets in
    shown = view.images(images)[:, 0] * 255
    same = (shown.round() == cropped).float().mean()
    assert float(same) > 0.5  # bilinear and nearest agree inside the tiles


def test_without_randomness_the_view_is_the_whole_image() -> None:
    spec = AugmentSpec(crop=32, min_area=1.0, max_ratio=1.0, flip=0.0)
    labels = torch.randint(0, 20, (1, 32, 32), dtype=torch.uint8)
    view = draw_view(spec, torch.tensor([[32, 32]]), torch.Generator().manual_seed(0))
    assert torch.equal(view.labels(labels), labels)


def test_cell_targets_are_shares_of_labelled_pixels() -> None:
    labels = torch.tensor([[[1, 1, 0, 255], [2, 0, 255, 255]]])
    shares, valid = class_shares(labels, 3, (1, 2))
    assert shares[0, :, 0, 0].tolist() == [0.25, 0.5, 0.25]
    assert shares[0, :, 0, 1].tolist() == [1.0, 0.0, 0.0]
    assert valid[0, 0].tolist() == [1.0, 0.25]
    assert layer_shares(torch.ones(1, 1, 2, 4), (1, 2)).tolist() == [[[[1.0, 1.0]]]]


@pytest.mark.parametrize(("shape", "expected"), [((3, 50, 100), (3, 32, 64)), ((3, 20, 10), (3, 20, 10))])
def test_canvas_shrinks_long_sides_only(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert to_canvas(torch.zeros(shape, dtype=torch.uint8), 64).shape == expected
    mask = torch.randint(0, 3, shape, dtype=torch.uint8) * 100
    assert set(to_canvas(mask, 64, nearest=True).unique().tolist()) <= {0, 100, 200}


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "I;16", "P"])
def test_every_image_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "image.tif"
    image = Image.fromarray(np.full((3, 5), 900, np.uint16)) if mode == "I;16" else Image.new(mode, (5, 3))
    image.save(path)
    assert read_rgb(path).shape == (3, 3, 5)


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_rgb(tmp_path / "turned.jpg").shape == (3, 8, 4)


def test_mask_files_must_hold_class_ids(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "mask.png")
    with pytest.raises(DataError, match="has mode RGB; expected a palette or grey PNG of class ids"):
        read_mask(tmp_path / "mask.png")


def test_batches_cover_everything_and_never_hold_a_single_image() -> None:
    generator = torch.Generator().manual_seed(0)
    for count, size in ((10, 4), (9, 4), (3, 8), (2, 2)):
        batches = list(epoch_batches(count, size, generator))
        assert len(batches) == batches_per_epoch(count, size)
        assert all(len(batch) >= 2 for batch in batches)
        covered = {p for batch in batches for p in batch}
        assert len(covered) >= count - 1


def test_poly_schedule_holds_then_steps_down_to_the_global_curve() -> None:
    assert [poly_factor(k, 100, 10, 0.9) for k in (0, 9)] == [1.0, 1.0]
    assert poly_factor(10, 100, 10, 0.9) == pytest.approx(0.9**0.9)
    assert poly_factor(100, 100, 10, 0.9) == 0.0


def test_a_specification_is_filled_from_its_preset_and_survives_a_round_trip() -> None:
    spec = make_spec({"benchmark": "scenes-15-5", **nested(["step.epochs=3", "fmwiss.alpha=0.25"])})
    assert spec.preset == "demo"
    assert spec.step.epochs == 3
    assert spec.fmwiss.alpha == 0.25
    assert spec.fmwiss.warmup_epochs == PRESETS["demo"]["fmwiss"]["warmup_epochs"]
    assert make_spec(spec.model_dump(mode="json")) == spec
    assert make_spec({"benchmark": "voc-10-10"}).student.backbone == "mobilenetv2_100"
    assert "preset" not in spec.facts()


def test_a_preset_may_have_other_settings_for_a_benchmark_and_given_keys_win() -> None:
    usual, ten = (make_spec({"benchmark": name}) for name in ("voc-15-5", "voc-10-10"))
    assert (usual.base.epochs, ten.base.epochs) == (6, 12)
    assert ten.base.model_copy(update={"epochs": 6}) == usual.base
    assert (usual.fmwiss.arbitration, ten.fmwiss.arbitration) == ("none", "cells")
    assert make_spec({"benchmark": "voc-10-10", "base": {"epochs": 1}}).base.epochs == 1
    assert make_spec({"benchmark": "voc-10-10", "preset": "demo"}).base == make_spec({"benchmark": "scenes-10-10"}).base


@pytest.mark.parametrize(
    ("preset", "given", "epochs"),
    [
        ("paper", {}, 40),
        ("paper", {"accumulate": 4}, 40),
        ("paper", {"tuning": "svf"}, 40),
        ("paper-coco", {}, 30),
        ("paper-coco", {"accumulate": 4}, 30),
    ],
)
def test_the_papers_schedule_stays_when_a_key_of_its_section_is_given(
    preset: str, given: dict[str, object], epochs: int
) -> None:
    benchmark = {"paper": "voc-15-5", "paper-coco": "coco-to-voc"}[preset]
    spec = make_spec({"benchmark": benchmark, "preset": preset, "step": given})
    step = spec.step
    assert (step.epochs, step.batch_size, step.constant_epochs) == (epochs, 24, 5)
    assert (step.optimizer, step.lr_backbone, step.lr_head) == ("sgd", 1e-3, 1e-2)
    assert (spec.base.epochs, spec.base.lr_backbone, spec.base.constant_epochs) == (30, 1e-2, 0)
    assert all(getattr(step, key) == value for key, value in given.items())


def test_lists_and_null_can_be_set_from_the_command_line() -> None:
    given = nested(["student.aspp_rates=[12, 24,32]", "data.eval_crop=null", "student.weights=none"])
    spec = make_spec({"benchmark": "scenes-15-5", **given})
    assert spec.student.aspp_rates == (12, 24, 32)
    assert spec.data.eval_crop is None
    assert spec.student.weights == "none"
    with pytest.raises(SpecError, match="holds no list"):
        nested(["student.aspp_rates=[12"])


@pytest.mark.parametrize("method", ["fmwiss", "wilson"])
def test_a_warm_up_as_long_as_the_training_is_refused(method: str) -> None:
    given = {"benchmark": "scenes-15-5", "method": method}
    with pytest.raises(
        SpecError, match=rf"{method}.warmup_epochs is 2 and step.epochs is 1: .* --set {method}.warmup_epochs=0$"
    ):
        make_spec({**given, "step": {"epochs": 1}})
    with pytest.raises(SpecError, match=rf"--set {method}.warmup_epochs=1$"):
        make_spec({**given, "step": {"epochs": 2}})
    assert make_spec({**given, "step": {"epochs": 3}}).step.epochs == 3
    assert make_spec({**given, "step": {"epochs": 1}, method: {"warmup_epochs": 0}}).step.epochs == 1
    for other in ("finetune", "joint"):  # which do not warm up
        assert make_spec({**given, "method": other, "step": {"epochs": 1}}).step.epochs == 1


def test_a_comparison_says_so_too() -> None:
    with pytest.raises(SpecError, match=r"wilson.warmup_epochs is 2 and step.epochs is 2"):
        make_grid({"benchmark": "scenes-15-5", "step": {"epochs": 2}}, ("finetune", "wilson"))
