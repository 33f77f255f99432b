"""``wilss foundations`` and ``wilss pretrain`` as people type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

TINY = [
    *("--set", "n_easy=16", "--set", "n_scenes=16", "--set", "batch_size=8"),
    *("--set", 'phases=[{"pairs": "easy", "steps": 2, "image_size": 48}, {"pairs": "scenes", "steps": 1}]'),
]


def test_list_says_what_is_at_hand(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "resnet50.safetensors").write_bytes(b"x")
    code, out, _ = wilss("foundations", "list", "--weights", tmp_path, "--json")
    assert code == 0
    entries = {entry["name"]: entry for entry in json.loads(out)}
    assert entries["clip:scenes"]["weights"] == "shipped"
    assert entries["features:resnet50"]["weights"] == str(tmp_path / "resnet50.safetensors")
    code, out, _ = wilss("foundations", "list", "--weights", tmp_path)
    assert "dino:vit_base_patch14_reg4_dinov2.lvd142m" in out


@pytest.mark.parametrize("name", ["clip:scenes", pytest.param("dino:scenes", marks=pytest.mark.slow)])
def test_check_measures_the_small_models_on_the_spot(wilss, tmp_path: Path, name: str) -> None:  # type: ignore[no-untyped-def]
    picture = tmp_path / "seen.png"
    code, out, err = wilss("foundations", "check", name, "--scenes", 30, "--json", "--out", picture)
    assert code == 0, err
    facts = json.loads(out)
    assert Image.open(picture).width > 200
    assert facts["picture"] == str(picture)
    metrics = facts["metrics"]
    assert metrics["scenes"] == 30
    assert metrics["recall_at_n"] >= 0.8
    assert metrics["initial"] >= 0.3
    assert metrics["refined"] >= metrics["initial"] + 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["foundations", "check", "clip:secnes"], "open_clip has no model 'secnes'"),
        (["foundations", "check", "klip:scenes"], "'klip:scenes' is no scorer"),
        (["foundations", "check", "clip:scenes", "--image", "no.png", "--prompt", "star"], "'no.png' does not exist"),
        (["foundations", "check", "clip:scenes@lost.safetensors"], "'lost.safetensors' does not exist"),
        (["pretrain", "klip"], "there is no pretraining of 'klip'. Did you mean 'clip'?"),
        (
            ["pretrain", "dino", "--set", "step=3"],
            "settings of the dino training cannot be used: unknown key 'step'. Did you mean 'steps'?",
        ),
    ],
)
def test_mistakes_are_named(wilss, arguments: list[str], message: str) -> None:  # type: ignore[no-untyped-def]
    code, _, err = wilss(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_damaged_weights_are_named(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "resnet18.safetensors").write_bytes(b"nonsense")
    code, _, err = wilss("foundations", "check", "features:resnet18", "--weights", tmp_path)
    assert code == 2
    assert "is no safetensors file, or damaged" in err
    save_file({"conv1.weight": torch.zeros(1)}, tmp_path / "resnet18.safetensors")
    code, _, err = wilss("foundations", "check", "features:resnet18", "--weights", tmp_path)
    assert code == 2
    assert "is it a file of another model?" in err


def test_pretrained_weights_are_found_again_and_usable_by_name(
    wilss,  # type: ignore[no-untyped-def]
    tmp_path: Path,
    prefect_backend: None,
) -> None:
    code, out, err = wilss("pretrain", "clip", "--root", tmp_path, *TINY)
    assert code == 0, err
    path = Path(out.splitlines()[0])
    assert path.parent.parent == tmp_path / "pretrained"
    stamp = path.stat().st_mtime_ns
    wilss("pretrain", "clip", "--root", tmp_path, *TINY)
    assert path.stat().st_mtime_ns == stamp
    code, out, err = wilss("foundations", "check", f"clip:scenes@{path}", "--scenes", 8, "--out", tmp_path / "p.png")
    assert code == 0, err
    assert "recall_at_n" in out
