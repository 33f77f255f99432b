"""CLIP weights from files and folders; never silently random, never silently the wrong activation."""

from __future__ import annotations

import hashlib
import json
from os import utime
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from wilss.digest import file_digest
from wilss.errors import WeightsNotFoundError
from wilss.foundation.catalogue import catalogue, describe
from wilss.foundation.loading import load_clip
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.zoo import build_scorer, require_known
from wilss.nets.pretrained import SHIPPED, find_weights

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a tiny CLIP as weights file, and in a folder of its own with its configuration."""
    folder = tmp_path_factory.mktemp("clip")
    config = folder / "tiny-clip.json"
    config.write_text(json.dumps(CONFIG))
    open_clip.add_model_config(config)
    torch.manual_seed(3)
    model = open_clip.create_model("tiny-clip")
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(state, folder / "tiny-clip-mine.safetensors")
    own = folder / "own"
    own.mkdir()
    save_file(state, own / "open_clip_model.safetensors")
    content = {"model_cfg": CONFIG, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (own / "open_clip_config.json").write_text(json.dumps(content))
    return folder


def test_file_in_the_weights_folder_path_and_folder_give_the_same_model(tiny: Path) -> None:
    names = ("tiny-clip/mine", f"tiny-clip/{tiny / 'tiny-clip-mine.safetensors'}", str(tiny / "own"))
    loaded = [load_clip(name, tiny) for name in names]
    weights = [clip.model.visual.proj for clip in loaded]
    assert all(torch.equal(weights[0], other) for other in weights)
    assert [clip.stride for clip in loaded] == [8, 8, 8]
    assert loaded[0].digest == loaded[1].digest != loaded[2].digest  # the folder brings its own normalisation
    assert loaded[2].mean == (0.5, 0.5, 0.5)
    assert not loaded[0].model.visual.proj.requires_grad


def test_a_folder_may_be_named_from_home(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tiny))
    assert load_clip("~/own", None).digest == load_clip(str(tiny / "own"), None).digest
    (tiny / "vit.safetensors").write_bytes((SHIPPED / "dino_scenes.safetensors").read_bytes())
    assert find_weights("vit_scenes", "~/vit.safetensors", None).path == tiny / "vit.safetensors"


def test_a_file_that_changed_has_another_digest(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    first = file_digest(path)
    assert first == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"two")
    utime(path, ns=(1, 1))  # a clock may be too coarse to tell the two
    assert file_digest(path) == hashlib.sha256(b"two").hexdigest()


def test_a_loaded_clip_scores_any_size(tiny: Path) -> None:
    scorer = build_scorer(FoundationSpec(scorer="clip:tiny-clip/mine", templates="simple"), tiny)
    assert scorer.scores(torch.rand(1, 3, 40, 70), [["sheep"], ["sofa", "couch"]]).shape == (1, 2, 5, 9)


def test_openai_weights_from_a_file_get_their_own_activation(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def create(name: str, **arguments: Any) -> None:
        seen.update(arguments)
        raise RuntimeError("far enough")

    (tiny / "ViT-B-16-openai.safetensors").touch()
    monkeypatch.setattr(open_clip, "create_model", create)
    with pytest.raises(WeightsNotFoundError, match="cannot be loaded as weights of ViT-B-16"):
        load_clip("ViT-B-16/openai", tiny)
    assert seen["force_quick_gelu"] is True
    assert seen["require_pretrained"] is True
    assert seen["weights_only"] is True
    seen.clear()
    with pytest.raises(WeightsNotFoundError):
        load_clip("ViT-B-16/laion2b_s34b_b88k", tiny)
    assert "force_quick_gelu" not in seen


def test_offline_error_names_the_file_and_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsNotFoundError) as caught:
        load_clip("ViT-B-16/openai", tmp_path)
    message = str(caught.value)
    assert "fetch open_clip_model.safetensors of the hub repository timm/vit_base_patch16_clip_224.openai" in message
    assert str(tmp_path / "ViT-B-16-openai.safetensors") in message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ViT-B-16/opeani", "neither a file nor weights that open_clip knows of ViT-B-16. Did you mean 'openai'"),
        ("scenes@nowhere.safetensors", "does not exist; make one with wilss pretrain clip"),
    ],
)
def test_missing_weights(name: str, message: str) -> None:
    with pytest.raises(WeightsNotFoundError, match=message):
        load_clip(name, None)


def test_weights_of_another_model_are_refused(tiny: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"does not fit clip_scenes\.json"):
        load_clip(f"scenes@{tiny / 'tiny-clip-mine.safetensors'}", None)
    with pytest.raises(WeightsNotFoundError, match="is no folder with a CLIP"):
        load_clip(str(tiny), None)


def test_the_same_file_under_another_architecture_has_another_digest(tiny: Path) -> None:
    config = tiny / "tiny-clip-quickgelu.json"
    config.write_text(json.dumps({**CONFIG, "quick_gelu": True}))
    open_clip.add_model_config(config)
    file = tiny / "tiny-clip-mine.safetensors"
    digests = {load_clip(f"{name}/{file}", None).digest for name in ("tiny-clip", "tiny-clip-quickgelu")}
    assert len(digests) == 2


def test_damaged_files_are_named(tiny: Path, tmp_path: Path) -> None:
    for suffix in (".safetensors", ".pt"):
        (tmp_path / f"broken{suffix}").write_bytes(b"nonsense")
        with pytest.raises(WeightsNotFoundError, match="cannot be loaded as weights of tiny-clip"):
            load_clip(f"tiny-clip/{tmp_path / f'broken{suffix}'}", None)
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"nonsense")
    (tmp_path / "open_clip_config.json").write_text((tiny / "own" / "open_clip_config.json").read_text())
    with pytest.raises(WeightsNotFoundError, match="one of its files damaged"):
        load_clip(str(tmp_path), None)
    with pytest.raises(WeightsNotFoundError, match="is no folder with a CLIP"):
        load_clip("/no/such/folder", None)


def test_siglip_weights_from_a_file_keep_their_normalisation(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = open_clip.create_model("tiny-clip")
    monkeypatch.setattr(open_clip, "create_model", lambda name, **arguments: model)
    monkeypatch.setattr(open_clip, "get_tokenizer", lambda name: None)
    (tiny / "ViT-B-16-SigLIP-webli.safetensors").touch()
    assert load_clip("ViT-B-16-SigLIP/webli", tiny).mean == (0.5, 0.5, 0.5)


def test_classes_that_a_scorer_cannot_know_are_refused() -> None:
    scorer = build_scorer(FoundationSpec())
    require_known(scorer, {"star": ("star",)})
    with pytest.raises(ValueError, match="the ontology is empty"):
        require_known(scorer, {})
    with pytest.raises(ValueError, match="class 1 of 1 has no prompt"):
        require_known(scorer, {"star": (" ",)})


def test_catalogue_knows_what_is_at_hand(tmp_path: Path) -> None:
    (tmp_path / "resnet50.safetensors").write_bytes(b"12345")
    entries = {entry.name: entry for entry in catalogue(tmp_path)}
    assert entries["clip:scenes"].weights == "shipped"
    assert entries["features:resnet50"].size_bytes == 5
    assert entries["dino:vit_base_patch16_224.dino"].weights == "hub"
    assert entries["dino:vit_base_patch16_dinov3.lvd1689m"].licence == "dinov3-license"
    assert sum(entries[f"{kind}:scenes"].size_bytes or 0 for kind in ("clip", "dino")) <= 15_000_000
    assert describe("dino:scenes@x", None).role == "grouper"
