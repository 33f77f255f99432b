"""CLIP folders from others name nothing outside of themselves, and describe no more than they hold."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import open_clip
import pytest
from safetensors.torch import save_file

from tests.hostile import Touch
from wilss.errors import WilssError
from wilss.foundation.clip_config import require_plain_clip
from wilss.foundation.loading import load_clip

CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    },
    "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "open_clip_config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "tiny-clip-of-a-folder.json").write_text(json.dumps(CONFIG["model_cfg"]))
    open_clip.add_model_config(tmp_path / "tiny-clip-of-a-folder.json")
    state = open_clip.create_model("tiny-clip-of-a-folder").state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, tmp_path / "open_clip_model.safetensors")
    return tmp_path


def refused(folder: Path, message: str, **changes: Any) -> None:
    content = copy.deepcopy(CONFIG)
    for path, value in changes.items():
        section, key = path.split("__")
        content["model_cfg"][f"{section}_cfg"][key] = value
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    with pytest.raises(WilssError, match=message) as caught:
        load_clip(str(folder), None)
    assert "\n" not in str(caught.value)


def test_a_plain_folder_is_loaded(folder: Path) -> None:
    assert load_clip(str(folder), None).stride == 8
    assert require_plain_clip(folder / "open_clip_config.json") == {}


def test_nothing_outside_the_folder_is_named(folder: Path) -> None:
    for name in ("hf-hub:evil/model", "local-dir:/tmp/evil", "../evil"):
        refused(folder, "is no plain model name", vision__timm_model_name=name)
    refused(folder, "takes its text tower from a hub", text__hf_model_name="evil/model")
    refused(folder, "the argument 'trust_remote_code'", text__tokenizer_kwargs={"trust_remote_code": True})
    refused(folder, "the argument 'clean'", text__tokenizer_kwargs={"clean": ["x"]})
    refused(folder, "arguments that are no mapping", text__tokenizer_kwargs=[1])


def test_a_tokenizer_runs_no_code_of_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = copy.deepcopy(CONFIG)
    content["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "evil/tokenizer"
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    seen: dict[str, Any] = {}
    monkeypatch.setattr(open_clip, "get_tokenizer", lambda name, **arguments: seen.update(arguments))
    load_clip(str(folder), None)
    assert seen == {"trust_remote_code": False}


def test_no_more_is_allocated_than_the_file_holds(folder: Path) -> None:
    refused(folder, r"numbers are described, and the file has \d+ bytes", text__width=512, text__layers=8)
    refused(folder, "describes 1000000000 layers; expected are up to 512", vision__layers=10**9)
    refused(folder, r"describes \[3, 1000000000\] layers", vision__layers=[3, 10**9])


def test_a_configuration_that_is_none(folder: Path) -> None:
    for content in ("[" * 100_000, "[]", "{}", '{"model_cfg": {"vision_cfg": [], "text_cfg": {}}}', "\x00"):
        (folder / "open_clip_config.json").write_text(content)
        with pytest.raises(WilssError, match=r"is damaged|describes no CLIP"):
            load_clip(str(folder), None)


def test_the_weights_that_are_named_are_those_that_are_loaded(folder: Path) -> None:
    """open_clip takes a pickle before a safetensors file of another name."""
    marker = folder / "marker"
    (folder / "open_clip_pytorch_model.bin").write_bytes(pickle.dumps(Touch(marker)))
    (folder / "open_clip_model.safetensors").rename(folder / "open_clip_other.safetensors")
    refused(folder, "is no folder with a CLIP")
    (folder / "evil.pt").write_bytes(pickle.dumps(Touch(marker)))
    with pytest.raises(WilssError, match="cannot be loaded as weights"):
        load_clip(f"tiny-clip-of-a-folder/{folder / 'evil.pt'}", None)
    assert not marker.exists()
