"""Folders from others: what they ask for is refused in one sentence, before anything is run, fetched or allocated."""

from __future__ import annotations

import json
import pickle
import re
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from stores.artefacts import Manifest, read_manifest
from stores.banks import load_bank, save_bank
from stores.run_list import list_runs
from tests.hostile import Touch
from tests.wilss.models.cards import (
    SPEC,
    fewshot_card,
    student_card,
    write_head_of_format_1,
    write_student_of_format_1,
)
from wilss.errors import WilssError
from wilss.learn.memory import MemoryBank
from wilss.models.card import FewShotCard, StudentCard, load_card, model_files
from wilss.models.files import load_student, save_model
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """What a card of a few bytes describes must not be allocated: 8 GB more than now is all there is."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (8 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture(params=[save_model, write_student_of_format_1])
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    model = build_segmenter(SPEC, find_weights("resnet_scenes", "none", None), (2,))
    request.param(model.state_dict(), student_card(), folder)
    return folder


def change(path: Path, changes: dict[str, Any]) -> None:
    """Set values of a JSON file; keys of inner mappings have a dot."""
    content = json.loads(path.read_text())
    for key, value in changes.items():
        *outer, last = key.split(".")
        here = content
        for name in outer:
            here = here[name]
        here[last] = value
    path.write_text(json.dumps(content))


def change_card(folder: Path, changes: dict[str, Any]) -> None:
    """The same of a student's card, by the names of today."""
    path = model_files(folder).card
    if path.name == "index.json":
        changes = {re.sub("^architecture", "student", key.removeprefix("input.")): v for key, v in changes.items()}
    change(path, changes)


def refused(run: Callable[[], object], message: str) -> None:
    with pytest.raises(WilssError, match=message) as caught:
        run()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


def test_a_sound_checkpoint_is_loaded(checkpoint: Path) -> None:
    model, card = load_student(checkpoint)
    assert not model.training
    assert card.classes == ("a", "b")
    assert torch.equal(model.aspp.project.weight, load_file(model_files(checkpoint).weights)["aspp.project.weight"])


@pytest.mark.parametrize("key", ["checkpoint_path", "pretrained_cfg", "cache_dir", "pretrained", "pretrained_strict"])
def test_a_checkpoint_gives_timm_no_path(checkpoint: Path, tmp_path: Path, key: str) -> None:
    marker, evil = tmp_path / "marker", tmp_path / "evil.pt"
    evil.write_bytes(pickle.dumps(Touch(marker)))
    change_card(checkpoint, {"input.arguments": {key: str(evil)}})
    refused(lambda: load_student(checkpoint), rf"'input.arguments' is .*'{key}=.*' is no argument that a file may give")
    assert not marker.exists()


@pytest.mark.parametrize("name", ["hf-hub:evil/model", "hf_hub:evil/model", "local-dir:EVIL", "EVIL/resnet_scenes"])
def test_a_checkpoint_names_no_folder_or_address(checkpoint: Path, tmp_path: Path, name: str) -> None:
    marker, evil = tmp_path / "marker", tmp_path / "evil"
    evil.mkdir()
    config = {"architecture": "resnet_scenes", "model_args": {"checkpoint_path": str(evil / "pytorch_model.bin")}}
    (evil / "config.json").write_text(json.dumps(config))
    (evil / "pytorch_model.bin").write_bytes(pickle.dumps(Touch(marker)))
    change_card(checkpoint, {"architecture.backbone": name.replace("EVIL", str(evil))})
    refused(lambda: load_student(checkpoint), "'architecture.backbone' is .* is no plain model name")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"architecture.backbone": "vit_7b_patch16_dinov3", "architecture.output_stride": 16},
            "does not hold the network that is described beside it",
        ),
        ({"architecture.backbone": "resnet_none"}, "timm has no model 'resnet_none'"),
        ({"architecture.aspp_channels": 8192}, "does not hold the network that is described beside it"),
        ({"architecture.aspp_channels": 10**12}, "'architecture.aspp_channels' is 1000000000000 "),
        ({"architecture.aspp_rates": [1] * 100_000}, "'architecture.aspp_rates' is "),
        ({"architecture.aspp_rates": [10**9]}, "'architecture.aspp_rates.0' is 1000000000 "),
        ({"step_sizes": [1] * 1_000_000}, "'step_sizes' is "),
        ({"step_sizes": [10**12]}, "'step_sizes.0' is 1000000000000 "),
        ({"step_sizes": [3]}, "3 outputs, 2 class names and 2 ids"),
        ({"class_ids": [1, 1]}, "2 outputs, 2 class names and 1 ids"),
        ({"class_ids": [1, 700]}, "'class_ids.1' is 700 "),
        ({"input.canvas": 10**9}, "'input.canvas' is 1000000000 "),
        ({"input.canvas": 0}, "'input.canvas' is 0 "),
        ({"input.mean": [0.5]}, "'input.mean.1' "),
        ({"input.std": [0, 1, 1]}, "'input.std.0' is 0 "),
        ({"input.std": [float("nan"), 1, 1]}, "'input.std.0' is nan "),
        ({"architecture.weights": 3}, "'architecture.weights' is 3 "),
        ({"evil": "x" * 10**6}, "'evil' is "),
    ],
)
def test_a_checkpoint_of_astronomic_size(checkpoint: Path, changes: dict[str, Any], message: str) -> None:
    change_card(checkpoint, changes)
    refused(lambda: load_student(checkpoint), message)


def test_a_checkpoint_reads_no_file_that_it_names(checkpoint: Path, tmp_path: Path) -> None:
    change_card(checkpoint, {"architecture.weights": str(tmp_path / "there-is-none.safetensors")})
    assert load_student(checkpoint)[1].architecture.weights.endswith("none.safetensors")


@pytest.mark.parametrize("content", [DEEP, "[" * 100_000, "{", "[]", "", '{"a": ' * 50 + "1" + "}" * 50, "9" * 5000])
def test_descriptions_that_are_none(checkpoint: Path, tmp_path: Path, content: str) -> None:
    model_files(checkpoint).card.write_text(content)
    refused(lambda: load_card(checkpoint, StudentCard), r"(index|card)\.json' is damaged")
    write_head_of_format_1({"head.weight": torch.zeros(2)}, {}, tmp_path)
    (tmp_path / "about.json").write_text(content)
    refused(lambda: load_card(tmp_path, FewShotCard), "about.json' is damaged")
    (tmp_path / "manifest.json").write_text(content)
    refused(lambda: read_manifest(tmp_path), r"manifest.json' is damaged")
    run = tmp_path / "runs" / "a"
    run.mkdir(parents=True)
    (run / "report.json").write_text(content)
    reports, _, (fault,) = list_runs(tmp_path)
    assert not reports
    assert "report.json' is damaged" in str(fault)


def test_weights_whose_header_lies(checkpoint: Path) -> None:
    path = model_files(checkpoint).weights
    state = {name: value.clone() for name, value in load_file(path).items()}
    name = next(iter(state))
    header = json.dumps({name: {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}}).encode()
    for content in (len(header).to_bytes(8, "little") + header, b"\xff" * 8 + b"{}", pickle.dumps({})):
        path.write_bytes(content)
        refused(lambda: load_student(checkpoint), "safetensors' is damaged")
    save_file({**state, "more": torch.zeros(3)}, path)
    refused(lambda: load_student(checkpoint), r"'more' is \(3,\), described is None")


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (
            {"mean": [0.5] * 3, "std": [0.5] * 3, "arguments": {"checkpoint_path": "evil.pt"}},
            "'checkpoint_path=evil.pt'",
        ),
        ({"mean": [0.5] * 3, "std": [0.5] * 3, "arguments": {"pad_type": ["same"]}}, "'input.arguments.pad_type' is "),
        ({"mean": [0.5] * 3, "std": [0.5] * 3}, "'input.arguments' "),
        ({"mean": "abc", "std": [0.5] * 3, "arguments": {}}, "'input.mean' is 'abc'"),
    ],
)
def test_heads_give_timm_no_path(tmp_path: Path, known: dict[str, Any], message: str) -> None:
    state, spec = {"head.weight": torch.zeros(2)}, {"benchmark": "scenes-5i", "data": {"canvas": 64}}
    write_head_of_format_1(state, {"spec": spec, "input": known}, tmp_path)
    refused(lambda: load_card(tmp_path, FewShotCard), message)
    (tmp_path / "about.json").unlink()
    save_model(state, fewshot_card(spec), tmp_path)
    change(tmp_path / "card.json", {"input": {**known, "canvas": 64}})
    refused(lambda: load_card(tmp_path, FewShotCard), message)


@pytest.mark.parametrize("name", ["../../../etc", "a/b", "", "x" * 100])
def test_a_manifest_names_nothing_outside_the_store(tmp_path: Path, name: str) -> None:
    content = {"format": 1, "kind": "heads", "digest": "ab", "created": "", "recipe": {}, "parents": {}, "counts": {}}
    assert Manifest.model_validate(content)
    for changed in ({**content, "digest": name}, {**content, "parents": {"stage1": name}}):
        (tmp_path / "manifest.json").write_text(json.dumps(changed))
        refused(lambda: read_manifest(tmp_path), "is damaged: '(digest|parents.stage1)'")


def bank_of(n: int) -> MemoryBank:
    masks = torch.ones(n, 16, 16, dtype=torch.bool)
    sizes, channels = torch.full((n, 2), 16), torch.ones(n, dtype=torch.int64)
    return MemoryBank(torch.zeros(n, 3, 16, 16, dtype=torch.uint8), masks, sizes, channels, tuple(map(str, range(n))))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("masks", torch.ones(2, 8, 8, dtype=torch.bool), "are not those of 3 instances"),
        ("masks", torch.ones(3, 16, 16), "it holds channels, images"),
        ("sizes", torch.full((3, 2), 10**9), "the size 1000000000 is not from 1 to 16"),
        ("sizes", torch.full((3, 2), 0), "the size 0 is not"),
        ("channels", torch.full((3,), 255), "the channel 255 is not from 1 to 254"),
        ("more", torch.zeros(1), "it holds channels, images, masks, more"),
        ("shown", torch.ones(3, 16, 16), "it holds channels, images, masks, shown"),
        ("shown", torch.ones(3, 8, 16, dtype=torch.bool), "are not those of 3 instances"),
        ("shown", torch.zeros(3, 16, 16, dtype=torch.bool), "does not show all of an instance"),
    ],
)
def test_banks_that_are_none(tmp_path: Path, name: str, value: torch.Tensor, message: str) -> None:
    save_bank(bank_of(3), tmp_path)
    assert len(load_bank(tmp_path)) == 3
    path = tmp_path / "bank.safetensors"
    state = {key: tensor.clone() for key, tensor in load_file(path).items()}
    save_file({**state, name: value}, path)
    refused(lambda: load_bank(tmp_path), message)
    path.write_bytes(b"x")
    refused(lambda: load_bank(tmp_path), "is damaged")
    (tmp_path / "index.json").write_text('{"ids": "abc"}')
    refused(lambda: load_bank(tmp_path), "'ids' is 'abc'")
