"""What is checked before any task computes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from stores.plans.run import Run
from stores.plans.session import Session
from tasks.prepare import prepare_data
from tests.wilss.models.cards import student_card
from wilss.data.families import family_of
from wilss.errors import SpecError
from wilss.models.files import save_model
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter
from wilss.nets.spec import StudentSpec
from wilss.protocol import benchmarks
from wilss.settings import Settings
from wilss.spec import make_spec


def test_svf_must_fit_the_student_of_the_starting_checkpoint_not_the_presets(tmp_path: Path) -> None:
    """A ViT has no other stride than its own; the preset's, which is 8, would be refused."""
    protocol = benchmarks()["scenes-15-5"]
    student = StudentSpec(backbone="deit_tiny_patch16_224", weights="none", output_stride=16, aspp_channels=8)
    weights = find_weights(student.backbone, "none", None)
    content = {"benchmark": "scenes-15-5", "preset": "tiny", "start": str(tmp_path), "step": {"tuning": "svf"}}
    spec = make_spec(content)
    card = student_card(
        student, weights, step_sizes=(15,), classes=family_of("scenes").classes[:15], class_ids=protocol.steps[0]
    )
    save_model(build_segmenter(student, weights, (15,)).state_dict(), card, tmp_path)
    assert spec.student.output_stride == 8
    run = Run(spec, Session(Settings(root=tmp_path / "root")))
    assert set(prepare_data.fn(run)) == {"step 0", "step 1"}


def test_an_optional_package_is_asked_for_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    chosen = {"benchmark": "scenes-15-5", "preset": "tiny", "fmwiss": {"arbitration": "superpixels"}}
    run = Run(make_spec(chosen), Session(Settings(root=tmp_path / "root")))
    with pytest.raises(SpecError, match=re.escape("pip install 'wilss[superpixels]'")):
        prepare_data.fn(run)
